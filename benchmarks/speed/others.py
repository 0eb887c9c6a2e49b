"""Others' usual ways to predict a folder, where their packages are installed.

One image at a time, as their own examples do, and without heatmaps. None is among the project's
requirements.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 224
ReadOne = Callable[[Path], object]


def open_onnxruntime(network_file: Path) -> ReadOne:
    """Our own network; Keras converts it by tf2onnx."""
    import keras
    from onnxruntime import InferenceSession

    network = keras.models.load_model(network_file, compile=False)
    network(np.zeros((1, *network.input_shape[1:]), np.uint8))  # is exported as it was called
    with TemporaryDirectory(prefix="overread-onnx-") as scratch:
        file = Path(scratch) / "network.onnx"
        network.export(file, format="onnx", verbose=False)
        session = InferenceSession(file, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    dtype = np.uint8 if given.type == "tensor(uint8)" else np.float32

    def read_one(path: Path) -> object:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        return session.run(None, {given.name: pixels[None].astype(dtype)})

    return read_one


def open_torchxrayvision(_: Path) -> ReadOne:
    """Its DenseNet of 18 findings, with random weights: speed does not depend on them."""
    import torch
    import torchxrayvision as xrv

    network = xrv.models.DenseNet(weights=None).eval()
    crop, shrink = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(SIDE)

    def read_one(path: Path) -> object:
        with Image.open(path) as image:
            pixels = xrv.datasets.normalize(np.asarray(image.convert("L")), 255)
        with torch.no_grad():
            return network(torch.from_numpy(shrink(crop(pixels[None])))[None].float())

    return read_one


# By what must be installed, all of it.
OTHERS: Final[dict[tuple[str, ...], Callable[[Path], ReadOne]]] = {
    ("onnxruntime", "tf2onnx"): open_onnxruntime,
    ("torchxrayvision",): open_torchxrayvision,
}


def missing(packages: tuple[str, ...]) -> list[str]:
    return [name for name in packages if find_spec(name) is None]
