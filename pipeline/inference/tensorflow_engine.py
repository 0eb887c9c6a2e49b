"""The reference engine: the network as it was trained, in TensorFlow.

TensorFlow's and Keras's switches, which they read once, when they are first imported.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.import_folder import import_folder
from pipeline.types import Inference

BATCH = 32  # bounds the memory


class TensorFlowEngine:
    """Slow to start and large; what other engines are compared with."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:

        tensorflow = import_tensorflow(threads=threads)
        import keras

        from pipeline.inference.gradcam import forward_function

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


def import_tensorflow(*, threads: int | None = None) -> Any:
    """Quiet, and with oneDNN: on processors without AVX-512 it is off by default, and twice
    as slow. No settings are read from the home folder, and none written.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Keras imports Matplotlib where it is installed.
    with import_folder("KERAS_HOME"), import_folder("MPLCONFIGDIR"):
        import keras  # noqa: F401
        import tensorflow

    if threads is not None:
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError as error:
            # Another part of this process has computed already.
            raise RuntimeError("threads must be set before TensorFlow computes") from error
    return tensorflow
