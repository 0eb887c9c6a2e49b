"""The serving engine: the compiled network in OpenVINO, in float32."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import COMPILED_FILE
from pipeline.types import Inference

BATCH = 8  # images of one request; more are no faster on processors and take more memory


def import_openvino() -> Any:
    """Return the module, imported without `openvino_telemetry`.

    That package looks up an address, writes a client id to `~/intel`, and fails without a home
    folder; no environment variable disables it. OpenVINO and NNCF use stubs when its import raises
    ImportError, as None in `sys.modules` makes it. Call this before importing NNCF.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


class OpenVinoEngine:
    """See `Engine`; half a second from start to first result."""

    def __init__(self, folder: Path) -> None:
        openvino = import_openvino()
        path = folder / COMPILED_FILE
        if not path.is_file():
            raise NetworkFolderError(f"{COMPILED_FILE} is missing in {folder}")
        threads = len(os.sched_getaffinity(0))
        options = {
            # Otherwise results would depend on whether the processor has bfloat16.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        try:
            compiled = openvino.Core().compile_model(path, "CPU", options)
        except RuntimeError as error:
            raise NetworkFolderError(f"{COMPILED_FILE} cannot be read in {folder}") from error
        self._queue = openvino.AsyncInferQueue(compiled, threads)
        self._sizes = {
            output.any_name: [size.get_length() for size in list(output.partial_shape)[1:]]
            for output in compiled.outputs
        }
        self.name = f"openvino {openvino.__version__.split('-')[0]} float32"

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        results = {
            name: np.empty((len(network_inputs), *size), np.float32)
            for name, size in self._sizes.items()
        }

        def keep(request: object, start: int) -> None:
            for name, result in results.items():
                part = request.get_tensor(name).data  # type: ignore[attr-defined]
                result[start : start + len(part)] = part

        self._queue.set_callback(keep)
        for start in range(0, len(network_inputs), BATCH):
            self._queue.start_async({0: network_inputs[start : start + BATCH]}, start)
        self._queue.wait_all()
        return Inference(**results)
