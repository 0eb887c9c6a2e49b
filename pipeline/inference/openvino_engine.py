"""The serving engine: the compiled network in OpenVINO."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.inference.compiled_cache import CompiledCache
from pipeline.inference.engine import COMPILED_FILE
from pipeline.types import Inference, Precision

DEVICE: Final = "CPU"


def import_openvino() -> Any:
    """Return the module, imported without `openvino_telemetry`.

    That package looks up an address, writes a client id to `~/intel`, and fails without a home
    folder; no environment variable disables it. OpenVINO and NNCF use stubs when its import raises
    ImportError, as None in `sys.modules` makes it. Call this before importing NNCF.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


@cache
def open_core() -> Any:
    """The only one of this process, kept to its end.

    On processors with AMX each one sets a stack for signals, and puts back the one before it when
    it ends. Where that is gone already, the next signal kills the process.
    """
    return import_openvino().Core()


class OpenVinoEngine:
    """See `Engine`; half a second from start to first result."""

    def __init__(
        self, folder: Path, *, precision: Precision, cache: CompiledCache | None = None
    ) -> None:
        openvino = import_openvino()
        path = folder / COMPILED_FILE
        if not path.is_file():
            raise NetworkFolderError(f"{COMPILED_FILE} is missing in {folder}")
        threads = len(os.sched_getaffinity(0))
        options = {
            # Of what is not quantised. Otherwise results would depend on whether the processor has
            # bfloat16.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        try:
            compiled = _compile(openvino, path, options, cache)
        except RuntimeError as error:
            raise NetworkFolderError(f"{COMPILED_FILE} cannot be read in {folder}") from error
        self._queue = openvino.AsyncInferQueue(compiled, threads)
        self._sizes = {output.any_name: tuple(output.shape)[1:] for output in compiled.outputs}
        self.name = f"openvino {openvino.__version__.split('-')[0]} {precision}"

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        results = {
            name: np.empty((len(network_inputs), *size), np.float32)
            for name, size in self._sizes.items()
        }

        def keep(request: object, image: int) -> None:
            for name, result in results.items():
                result[image] = request.get_tensor(name).data[0]  # type: ignore[attr-defined]

        self._queue.set_callback(keep)
        for image in range(len(network_inputs)):
            self._queue.start_async({0: network_inputs[image : image + 1]}, image)
        self._queue.wait_all()
        return Inference(**results)


def _compile(
    openvino: Any, path: Path, options: Mapping[str, object], cache: CompiledCache | None
) -> Any:
    core = open_core()
    processor = core.get_property(DEVICE, "FULL_DEVICE_NAME")
    platform = f"{processor} {openvino.__version__} {options}"
    if cache and (blob := cache.read(platform)):
        with suppress(RuntimeError):
            return core.import_model(blob, DEVICE, options)
    network = core.read_model(path)
    # A quarter faster, and in less memory, than without a stated number of images; more than one
    # a request is no faster on processors.
    network.reshape([1, *list(network.input().partial_shape)[1:]])
    compiled = core.compile_model(network, DEVICE, options)
    if cache:
        cache.write(platform, compiled.export_model().getvalue())
    return compiled
