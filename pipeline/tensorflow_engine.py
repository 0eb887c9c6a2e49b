"""The reference engine: the network as it was trained, in TensorFlow."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.engine import NETWORK_FILE
from pipeline.errors import NetworkFolderError
from pipeline.types import Inference

BATCH = 32  # bounds the memory


class TensorFlowEngine:
    """Slow to start and large; what other engines are compared with."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        from pipeline.tensorflow_setup import import_tensorflow

        tensorflow = import_tensorflow(threads=threads)
        import keras

        from pipeline.gradcam import forward_function

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
