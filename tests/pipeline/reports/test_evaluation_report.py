from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.inference.predictor import Predictor
from pipeline.reports.evaluation_report import WorstErrors
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
    errors = WorstErrors(kept=2)
    for n, probability in enumerate([0.6, 0.99, 0.2, 0.1, 0.7, 0.3, 0.4]):
        for label in (0, 1):
            errors.see(at(prediction, probability), label=label, file=str(n), path=Path(str(n)))

    assert [error.prediction.probability for error in errors.false_positives] == [0.99, 0.7]
    assert [error.prediction.probability for error in errors.false_negatives] == [0.1, 0.2]


def test_correct_predictions_are_not_errors(prediction: Prediction) -> None:
    errors = WorstErrors()
    errors.see(at(prediction, 0.5), label=1, file="a", path=Path("a"))
    errors.see(at(prediction, 0.49), label=0, file="b", path=Path("b"))

    assert errors.false_positives == errors.false_negatives == []


def test_equally_confident_errors_keep_their_order(prediction: Prediction) -> None:
    errors = WorstErrors(kept=2)
    for name in "abc":
        errors.see(at(prediction, 0.9), label=0, file=name, path=Path(name))

    assert [error.file for error in errors.false_positives] == ["a", "b"]
