import numpy as np
import pytest

from pipeline.evaluation.bootstrap import Interval, bootstrap, draw_patients
from pipeline.evaluation.metrics import Draws, ratio


def share_of(is_right: np.ndarray, patients: np.ndarray) -> Interval:
    def measure(weights: Draws) -> dict[str, Draws]:
        return {"accuracy": ratio(weights @ is_right, weights.sum(axis=1))}

    return bootstrap(measure, patients=patients)["accuracy"]


def width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


def test_interval_of_independent_patients_is_close_to_normal() -> None:
    right = np.random.default_rng(1).random(800) < 0.9
    found = share_of(right, np.arange(800))
    share = right.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 800)
    assert found.value == pytest.approx(share)
    assert found.low == pytest.approx(share - half, abs=0.1 * half)
    assert found.high == pytest.approx(share + half, abs=0.1 * half)


def test_repeated_images_do_not_narrow_the_interval() -> None:
    right = np.random.default_rng(1).random(200) < 0.9
    patients = np.repeat(np.arange(200), 4)
    by_patient = share_of(np.repeat(right, 4), patients)
    as_if_independent = share_of(np.repeat(right, 4), np.arange(800))
    assert width(by_patient) == pytest.approx(width(share_of(right, np.arange(200))), rel=0.05)
    assert width(by_patient) > 1.7 * width(as_if_independent)


def test_images_of_a_patient_are_drawn_together() -> None:
    patients = np.array(["b", "a", "b", "c"])
    drawn = np.concatenate(list(draw_patients(patients, draws=50)))
    assert drawn.shape == (50, 4)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_draws_are_yielded_in_bounded_parts() -> None:
    parts = list(draw_patients(np.arange(500_000), draws=10))
    assert [len(part) for part in parts] == [4, 4, 2]


def test_draws_without_a_value_are_ignored() -> None:
    def measure(weights: Draws) -> dict[str, Draws]:
        return {"share": ratio(weights[:, 0], weights[:, 0]), "none": weights[:, 0] * np.nan}

    found = bootstrap(measure, patients=np.arange(3))
    assert found["share"] == Interval(1, 1, 1)
    assert found["none"] == Interval(None, None, None)
