import numpy as np
import pytest

from pipeline.evaluation.calibration import (
    balanced_weights,
    even_weights,
    fit_offset_and_temperature,
)
from pipeline.evaluation.population_calibration import (
    LEAST_PATIENTS,
    Calibrations,
    Labelled,
    calibrate,
)
from pipeline.inference.predictor import probability_of
from pipeline.types import OperatingPoint, Population

FLOORS: dict[OperatingPoint, float] = {"balanced": 0.95, "sensitive": 0.98}


def make(
    populations: dict[Population, float], *, patients: int = 300, positives: float = 0.5
) -> Labelled:
    """Populations whose logits lie around an offset of their own, each image of its patient."""
    random = np.random.default_rng(0)
    labels = (np.arange(patients) % 10 < 10 * positives).astype(np.uint8)
    logits = random.normal(4 * (labels - 0.5), 1.5)
    return Labelled(
        np.tile(labels, len(populations)),
        np.concatenate([logits + offset for offset in populations.values()]),
        np.arange(patients * len(populations)),
        np.repeat(list(populations), patients),
    )


def fitted(images: Labelled) -> Calibrations:
    masks = [images.populations == name for name in np.unique(images.populations)]
    everything = np.ones(len(images.labels), np.bool_)
    weights = even_weights(images.labels, masks)
    return calibrate(images, floors=FLOORS, parts=[everything], weights=weights)


def sensitivities(images: Labelled, found: Calibrations) -> list[float]:
    rates = []
    for name, one in found.apart.items():
        own = images.where((images.populations == name) & (images.labels == 1))
        probabilities = probability_of(own.logits, temperature=one.temperature, offset=one.offset)
        rates.append(float((probabilities >= one.thresholds["balanced"]).mean()))
    return rates


def test_offset_and_temperature_undo_a_shift_and_a_scale() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, 20_000)
    labels = (random.random(20_000) < probability_of(honest, temperature=1)).astype(np.uint8)
    offset, temperature = fit_offset_and_temperature(labels, 3 * honest - 8.7)
    assert offset == pytest.approx(-8.7, abs=0.2)
    assert temperature == pytest.approx(3, rel=0.1)


def test_one_calibration_where_it_does_for_both() -> None:
    found = fitted(make({"children": 0.0, "adults": 0.0}))
    assert found.apart == {}
    assert found.reason.startswith("one calibration does: it costs children 0.0")


def test_populations_elsewhere_have_calibrations_and_thresholds_of_their_own() -> None:
    """Adults' logits lie 8 lower: at a common threshold hardly any child would be normal."""
    images = make({"children": 0.0, "adults": -8.0}, positives=0.1)
    found = fitted(images)
    child, adult = found.apart["children"], found.apart["adults"]
    assert adult.offset == pytest.approx(child.offset - 8, abs=0.1)
    assert all(rate >= 0.95 for rate in sensitivities(images, found))
    assert adult.thresholds == pytest.approx(child.thresholds, abs=0.01)
    assert "one calibration would cost" in found.reason


def test_thresholds_hold_in_each_part_of_a_population() -> None:
    """Half of the adults' images, such as augmented ones, are harder."""
    images = make({"children": 0.0, "adults": -8.0})
    is_hard = (images.populations == "adults") & (np.arange(len(images.labels)) % 2 == 0)
    images.logits[is_hard & (images.labels == 1)] -= 3
    weights = balanced_weights(images.labels)
    everything = np.ones(len(images.labels), np.bool_)
    one, both = (
        calibrate(images, floors=FLOORS, parts=parts, weights=weights).apart["adults"]
        for parts in ([everything], [everything, is_hard])
    )
    own = images.where(is_hard & (images.labels == 1))
    probabilities = probability_of(own.logits, temperature=both.temperature, offset=both.offset)
    assert (probabilities >= both.thresholds["balanced"]).mean() >= 0.95
    assert both.thresholds["balanced"] < one.thresholds["balanced"]


def test_population_of_too_few_patients_has_no_calibration() -> None:
    few = make({"children": 0.0, "adults": -8.0}, patients=2 * LEAST_PATIENTS)
    assert fitted(few).apart
    one_less = Labelled(few.labels, few.logits, few.patients // 4, few.populations)
    assert fitted(one_less) == Calibrations(fitted(one_less).together)
    unknown = Labelled(few.labels, few.logits, few.patients, np.full(len(few.labels), ""))
    assert fitted(unknown).apart == {}
