"""The reference engine: the network as it was trained, in TensorFlow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.gradcam import forward_function
from pipeline.types import Inference

BATCH = 32  # bounds the memory


class TensorFlowEngine:
    """See `Engine`; slow to start, and the reference for other engines."""

    def __init__(self, folder: Path) -> None:
        tensorflow = import_tensorflow()
        import keras

        try:
            network = keras.models.load_model(folder / NETWORK_FILE, compile=False)
        except (ValueError, OSError) as error:
            raise NetworkFolderError(f"{NETWORK_FILE} cannot be read in {folder}") from error
        self._forward = forward_function(network)
        self.name = f"tensorflow {tensorflow.__version__} float32"

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        starts = range(0, max(len(network_inputs), 1), BATCH)
        parts = [self._forward(network_inputs[start : start + BATCH]) for start in starts]
        names = ("logits", "heatmaps", "features")
        return Inference(
            *(np.concatenate([part[name].numpy() for part in parts]) for name in names)
        )


def import_tensorflow() -> Any:
    """Return the module, imported quietly and without touching the home folder.

    With oneDNN, which is off by default on processors without AVX-512, at half the speed.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Keras imports Matplotlib where it is installed.
    with _scratch_folder("KERAS_HOME"), _scratch_folder("MPLCONFIGDIR"):
        import keras  # noqa: F401
        import tensorflow

    return tensorflow


@contextmanager
def _scratch_folder(variable: str) -> Iterator[None]:
    """Point an environment variable to an empty folder during an import, unless it is set."""
    if variable in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="overread-") as folder:
        os.environ[variable] = folder
        try:
            yield
        finally:
            del os.environ[variable]
