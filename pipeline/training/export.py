"""A trained network as files: Keras's, to train on, and compiled by OpenVINO, to serve."""

import logging
import zipfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.engine import COMPILED_FILE, NETWORK_FILE
from pipeline.inference.gradcam import forward_function
from pipeline.inference.openvino_engine import import_openvino, open_core
from pipeline.training.framework import keras

CALIBRATION_IMAGES: Final = 300  # more change nothing
OUTPUTS: Final = {1: "logits", 2: "features", 3: "heatmaps"}  # by the number of their axes


def export_network(
    network: keras.Model, folder: Path, *, calibration: NDArray[np.uint8] | None = None
) -> None:
    """Write network.keras, network.xml and network.bin into `folder`.

    calibration: uint8 (n, size, size), images to quantise the compiled network with, to 8-bit
        integers; None leaves it in float32. Keras's file is in float32 in any case.

    Expects weights that float16 holds exactly (`round_to_float16`): then the compiled copy in
    float32, whose weights are stored in half precision, loses nothing.
    """
    _save_keras(network, folder / NETWORK_FILE)
    _save_compiled(network, folder / COMPILED_FILE)
    if calibration is not None:
        _quantise(folder / COMPILED_FILE, calibration)


def choose_calibration(images: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Return some training images: uint8 (n, size, size), at most CALIBRATION_IMAGES."""
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order[:CALIBRATION_IMAGES]]


def _save_keras(network: keras.Model, path: Path) -> None:
    """Keras stores its archive uncompressed; zeros in every weight's tail deflate well."""
    stored = path.with_suffix(".stored.keras")
    network.save(stored)
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in source.namelist():
            # A fixed date: the same weights give the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(name))
    stored.unlink()


def _save_compiled(network: keras.Model, path: Path) -> None:
    openvino = import_openvino()
    size = network.input_shape[1:]
    concrete = forward_function(network).get_concrete_function()
    # It shares the function's memory, so it is saved while that lives.
    compiled = openvino.convert_model(concrete, input=[("network_inputs", [-1, *size])])
    for output in compiled.outputs:
        output.get_tensor().set_names({OUTPUTS[len(output.partial_shape)]})
    openvino.save_model(compiled, path, compress_to_fp16=True)


def _quantise(path: Path, images: NDArray[np.uint8]) -> None:
    """Replace a compiled network by one in int8, quantised after training (Jacob 2018).

    Weights use half of their range: without VNNI, processors add two products in 16 bits, and
    larger ones would be cut off.
    """
    openvino = import_openvino()  # before NNCF, for its telemetry
    import nncf

    nncf.set_log_level(logging.ERROR)
    compiled = open_core().read_model(path)
    compiled.reshape([1, *images.shape[1:]])  # as it is served
    half_range = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    with redirect_stdout(StringIO()):  # of its progress bars
        quantised = nncf.quantize(
            compiled,
            nncf.Dataset([image[None] for image in images]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            # The fast one leaves a network with half-range weights four times as far off.
            fast_bias_correction=False,
            advanced_parameters=half_range,
        )
    whole = path.with_name("quantised.xml")
    openvino.save_model(quantised, whole, compress_to_fp16=True)
    for suffix in (".xml", ".bin"):  # the old ones are still mapped
        whole.with_suffix(suffix).replace(path.with_suffix(suffix))
