"""The interface of engines that run a network: OpenVINO for serving, TensorFlow as reference."""

import importlib.util
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.compiled_cache import CompiledCache
from pipeline.types import Inference, Precision

EngineKind = Literal["openvino", "tensorflow"]
NETWORK_FILE: Final = "network.keras"
COMPILED_FILE: Final = "network.xml"  # its weights lie beside it in network.bin


class Engine(Protocol):
    """name: library, version and precision, e.g. `openvino 2026.4.1 float32`."""

    @property
    def name(self) -> str: ...

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        """Run the network on uint8 (n, 224, 224), 0 = black, n >= 0."""
        ...


def load_engine(
    folder: Path,
    *,
    kind: EngineKind = "openvino",
    precision: Precision = "float32",
    cache: CompiledCache | None = None,
) -> Engine:
    """Load the network of a version's folder; TensorFlow is imported only for that kind.

    precision: of the compiled network, as its card says; TensorFlow computes in float32.
    cache: of this folder; OpenVINO starts sooner from it. Raises NetworkFolderError.
    """
    if kind == "tensorflow":
        from pipeline.inference.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(folder)
    from pipeline.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(folder, precision=precision, cache=cache)


def tensorflow_is_installed() -> bool:
    """Looks for TensorFlow without importing it."""
    return importlib.util.find_spec("tensorflow") is not None
