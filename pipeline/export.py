"""The trained network as files: Keras's for training on, a compiled copy for serving."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine import COMPILED_FILE, NETWORK_FILE
from pipeline.gradcam import forward_function
from pipeline.openvino_setup import import_openvino

if TYPE_CHECKING:
    import keras


def export_network(network: "keras.Model", folder: Path) -> None:
    """Write network.keras, network.xml and network.bin into `folder`.

    Expects weights that float16 holds exactly (`round_to_float16`): then the compiled copy,
    whose weights are stored in half precision and computed with in single, loses nothing.
    """
    _save_keras(network, folder / NETWORK_FILE)
    _save_compiled(network, folder / COMPILED_FILE)


def _save_keras(network: "keras.Model", path: Path) -> None:
    """Keras stores its archive uncompressed; zeros in every weight's tail deflate well."""
    stored = path.with_suffix(".stored.keras")
    network.save(stored)
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in source.namelist():
            # A fixed date: the same weights give the same bytes.
            target.writestr(_entry(name), source.read(name))
    stored.unlink()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _save_compiled(network: "keras.Model", path: Path) -> None:
    openvino = import_openvino()
    size = network.input_shape[1:]
    concrete = forward_function(network).get_concrete_function()
    compiled = openvino.convert_model(concrete, input=[("network_inputs", [-1, *size])])
    for output in compiled.outputs:
        names = {"logits": 1, "heatmaps": 3, "features": 2}
        rank = len(output.partial_shape)
        output.get_tensor().set_names({next(n for n, r in names.items() if r == rank)})
    openvino.save_model(compiled, path, compress_to_fp16=True)
