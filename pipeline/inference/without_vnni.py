"""Whether an int8 network predicts the same on processors without VNNI.

Without these instructions, processors add products in 16 bits and round elsewhere.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.inference.engine import load_engine
from pipeline.inference.predictor import Predictor
from pipeline.types import Inference

# The same as between two preprocessings. The shipped network in int8 needed 0.012 (793 images).
MOST: Final = 0.02
LIMIT: Final = {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # the newest instruction set that has no VNNI
_FLAGS: Final = {"avx512_vnni", "avx_vnni"}
_CPUINFO: Final = Path("/proc/cpuinfo")  # proc(5)
_MODULES: Final = Path(__file__).parents[2]


class UnequalPredictionsError(PipelineError):
    """An int8 version is not exported: its predictions depend on the processor, or may do so."""


@dataclass(frozen=True)
class Differences:
    """Of predictions without VNNI from those with it.

    images: how many were compared. findings: how many of them differ. probability: by how much it
    differs at most.
    """

    images: int
    findings: int
    probability: float

    def check(self) -> None:
        """Raises UnequalPredictionsError."""
        if self.findings or self.probability > MOST:
            raise UnequalPredictionsError(
                f"int8 was not exported: without VNNI {self.findings} of {self.images} findings "
                f"differ, and probabilities by up to {self.probability:.3f} (at most {MOST})"
            )


def has_vnni(cpuinfo: Path = _CPUINFO) -> bool:
    lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    return any(_FLAGS & set(line.split()) for line in lines if line.startswith("flags"))


def check_has_vnni(cpuinfo: Path = _CPUINFO) -> None:
    """Raises UnequalPredictionsError where predictions with and without it cannot be compared."""
    if not has_vnni(cpuinfo):
        raise UnequalPredictionsError(
            "int8 is not exported on this processor: it has no VNNI, so it cannot be shown that "
            "predictions are equal with and without"
        )


def compare_without_vnni(
    predictor: Predictor, folder: Path, images: NDArray[np.uint8]
) -> Differences:
    """Compare predictions of uint8 (n, size, size) on this processor, which has VNNI.

    folder: of the predictor's version.
    """
    limited = replace(predictor, engine=LimitedEngine(folder))
    pairs = list(zip(predictor.predict(images), limited.predict(images), strict=True))
    return Differences(
        images=len(pairs),
        findings=sum(one.finding != other.finding for one, other in pairs),
        probability=max(abs(one.probability - other.probability) for one, other in pairs),
    )


def check_without_vnni(
    predictor: Predictor, folder: Path, images: NDArray[np.uint8]
) -> Differences:
    """Like `compare_without_vnni`. Raises UnequalPredictionsError."""
    found = compare_without_vnni(predictor, folder, images)
    found.check()
    return found


class LimitedEngine:
    """See `Engine`; oneDNN reads the limit once, so each call has a process of its own."""

    name = f"openvino int8 {LIMIT}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        with TemporaryDirectory(prefix="overread-") as scratch:
            given, found = Path(scratch) / "given.npy", Path(scratch) / "found.npz"
            np.save(given, network_inputs)
            command = [sys.executable, "-m", __name__, str(self._folder), str(given), str(found)]
            environment = os.environ | LIMIT | {"PYTHONPATH": str(_MODULES)}
            subprocess.run(command, env=environment, check=True)
            with np.load(found) as arrays:
                return Inference(**arrays)


def main(folder: str, given: str, found: str) -> None:
    inference = load_engine(Path(folder), precision="int8").infer(np.load(given))
    np.savez(found, **vars(inference))


if __name__ == "__main__":
    main(*sys.argv[1:])
