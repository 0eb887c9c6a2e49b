from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.drawing import display_png, overlay_png
from pipeline.inference.predictor import Predictor
from pipeline.reports.evaluation_report import WorstError, WorstErrors, _data_url, _images
from pipeline.types import Prediction
from tests.support.imaging.networks import phantom_inputs


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    (answer,) = Predictor.open().predict(phantom_inputs(count=1))
    return replace(answer, threshold=0.5)


def at(prediction: Prediction, probability: float) -> Prediction:
    logit = float(np.log(probability / (1 - probability)))
    return replace(prediction, probability=probability, logit=logit)


def test_worst_errors_keep_the_most_confident_of_both_kinds(prediction: Prediction) -> None:
    """Equally confident ones in their order."""
    errors = WorstErrors(kept=3)
    for n, probability in enumerate([0.6, 0.99, 0.2, 0.1, 0.99, 0.1, 0.7, 0.3, 0.7, 0.2]):
        for label in (0, 1):
            errors.see(at(prediction, probability), label=label, file=str(n), path=Path(str(n)))
    assert [error.file for error in errors.false_positives] == ["1", "4", "6"]
    assert [error.file for error in errors.false_negatives] == ["3", "5", "2"]


def test_correct_predictions_are_not_errors(prediction: Prediction) -> None:
    errors = WorstErrors()
    errors.see(at(prediction, 0.5), label=1, file="a", path=Path("a"))
    errors.see(at(prediction, 0.49), label=0, file="b", path=Path("b"))
    assert errors.false_positives == errors.false_negatives == []


def test_errors_are_shown_as_they_were_read(prediction: Prediction) -> None:
    levels = phantom_inputs(count=1)[0]
    error = WorstError(replace(prediction, orientation=6), "a", Path("a"))
    assert _images(error, lambda _: levels) == (
        _data_url(display_png(levels, orientation=6)),
        _data_url(overlay_png(levels, prediction.heatmap, orientation=6)),
    )
