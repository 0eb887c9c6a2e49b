"""Whether an int8 network predicts the same without VNNI."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.inference.engine import Engine
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE
from pipeline.inference.without_vnni import (
    MOST,
    Differences,
    UnequalPredictionsError,
    check_has_vnni,
    check_without_vnni,
    compare_without_vnni,
)
from pipeline.types import Inference
from tests.support.imaging.networks import phantom_inputs


def test_check_refuses_another_finding_and_a_large_move() -> None:
    Differences(images=800, findings=0, probability=MOST).check()
    for findings, probability in ((1, 0.001), (0, MOST + 0.001)):
        with pytest.raises(UnequalPredictionsError, match=f"{findings} of 800 findings differ"):
            Differences(images=800, findings=findings, probability=probability).check()


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni"])
def test_check_has_vnni_goes_by_the_flags_of_the_processor(tmp_path: Path, flag: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"model name\t: any\nflags\t\t: fpu avx2 {flag} sse\n\n")
    check_has_vnni(cpuinfo)
    cpuinfo.write_text(f"model name\t: {flag}\nflags\t\t: fpu avx2 {flag}x sse\n\n")
    with pytest.raises(UnequalPredictionsError, match="this processor: it has no VNNI"):
        check_has_vnni(cpuinfo)


class NegatedEngine:
    name = "negated"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def infer(self, network_inputs: NDArray[np.uint8]) -> Inference:
        found = self._engine.infer(network_inputs)
        return replace(found, logits=-found.logits)


def test_comparison_runs_the_network_of_the_folder() -> None:
    """In float32, VNNI changes nothing."""
    predictor, inputs = Predictor.open(), phantom_inputs()
    same = compare_without_vnni(predictor, BASELINE, inputs)
    assert (same.images, same.findings) == (len(inputs), 0)
    assert same.probability < 0.001
    negated = replace(predictor, engine=NegatedEngine(predictor.engine))
    other = compare_without_vnni(negated, BASELINE, inputs)
    assert other.findings == sum(one.finding is not None for one in predictor.predict(inputs)) > 0
    with pytest.raises(UnequalPredictionsError, match=f"{other.findings} of {len(inputs)} finding"):
        check_without_vnni(negated, BASELINE, inputs)
