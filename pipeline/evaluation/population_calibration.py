"""One calibration for all populations where one does, else one for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import (
    LEAST_OF_GROUP,
    balanced_weights,
    fit_offset_and_temperature,
    fit_temperature,
    log_loss,
    threshold_for_each,
)
from pipeline.evaluation.metrics import Floats, Labels
from pipeline.inference.predictor import probability_of
from pipeline.types import Calibration, OperatingPoint, Population

LEAST_PATIENTS: Final = 20  # of each class: a population with fewer gets no calibration of its own
# Of images that state no age: most hospitals' are adults'.
DEFAULT_POPULATION: Final[Population] = "adults"
# What one calibration for all may cost a population against one of its own.
LOG_LOSS_MARGIN: Final = 0.02
SPECIFICITY_MARGIN: Final = 0.05

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """Logits of n images that the network did not learn from, such as out-of-fold ones.

    labels: (n,), 1 = pneumonia. logits: (n,). patients: (n,), names. populations: str (n,), ""
    where it is not known. An image may be there several times, as augmented views.
    """

    labels: Labels
    logits: Floats
    patients: NDArray[np.generic]
    populations: NDArray[np.str_]

    def where(self, chosen: Mask) -> "Labelled":
        return Labelled(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Calibrations:
    """together: of all images. apart: of each population, empty where one calibration does.

    reason: a clause for the card, on what one calibration costs.
    """

    together: Calibration
    apart: Mapping[Population, Calibration] = field(default_factory=dict)
    reason: str = ""


def calibrate(
    images: Labelled,
    *,
    floors: Mapping[OperatingPoint, float],
    parts: Sequence[Mask],
    weights: NDArray[np.float64],
) -> Calibrations:
    """Fit one calibration for all, and one for each population if that costs one of them too much.

    floors: of sensitivity, by operating point, in each of `parts`, bool (n,), such as the images
    without augmentation, and in each population. weights: (n,), of the images for the temperature
    of all; a population of its own is weighed by class, for a prevalence of one half. Its logits
    may lie elsewhere, so that it has an offset as well.
    """
    chosen = dict(_large_populations(images))
    within = [part & mask for part in parts for mask in chosen.values()]
    everywhere = [*parts, *(part for part in within if _is_enough(images.labels[part]))]
    temperature = fit_temperature(images.labels, images.logits, weights=weights)
    together = _with_thresholds(images, Calibration(temperature, {}), everywhere, floors)
    apart: dict[Population, Calibration] = {}
    costs = {}
    for name, mask in chosen.items():
        own = images.where(mask)
        offset, own_temperature = fit_offset_and_temperature(own.labels, own.logits)
        plain = Calibration(own_temperature, {}, offset)
        whole = np.ones(len(own.labels), np.bool_)
        own_parts = [part[mask] for part in parts if _is_enough(images.labels[part & mask])]
        apart[name] = _with_thresholds(own, plain, [whole, *own_parts], floors)
        costs[name] = _cost(own, together, apart[name])
    if len(apart) < 2:
        return Calibrations(together)
    words = "; ".join(f"{name} {cost.describe()}" for name, cost in costs.items())
    if not any(cost.is_too_much for cost in costs.values()):
        return Calibrations(together, reason=f"one calibration does: it costs {words}")
    return Calibrations(together, apart, f"apart, since one calibration would cost {words}")


@dataclass(frozen=True)
class _Cost:
    """Of one calibration for all against a population's own."""

    log_loss: float
    specificity: float

    @property
    def is_too_much(self) -> bool:
        return self.log_loss > LOG_LOSS_MARGIN or self.specificity > SPECIFICITY_MARGIN

    def describe(self) -> str:
        return f"{self.log_loss:.3f} of log loss and {self.specificity:.3f} of specificity"


def _cost(images: Labelled, together: Calibration, own: Calibration) -> _Cost:
    weights = balanced_weights(images.labels)
    losses, specificities = [], []
    for one in (together, own):
        scaled = (images.logits - one.offset) / one.temperature
        losses.append(log_loss(images.labels, scaled, weights=weights))
        negatives = _probabilities(images, one)[images.labels == 0]
        specificities.append(float((negatives < one.thresholds["balanced"]).mean()))
    return _Cost(losses[0] - losses[1], specificities[1] - specificities[0])


def _with_thresholds(
    images: Labelled,
    calibration: Calibration,
    parts: Sequence[Mask],
    floors: Mapping[OperatingPoint, float],
) -> Calibration:
    probabilities = _probabilities(images, calibration)
    thresholds = {
        point: threshold_for_each(
            images.labels, probabilities, parts=parts, sensitivity_floor=floor
        )
        for point, floor in floors.items()
    }
    return Calibration(calibration.temperature, thresholds, calibration.offset)


def _is_enough(labels: Labels) -> bool:
    """Whether a threshold may be chosen by these images: few would leave it to chance."""
    return int((labels == 1).sum()) >= LEAST_OF_GROUP


def _probabilities(images: Labelled, one: Calibration) -> NDArray[np.float64]:
    return probability_of(images.logits, temperature=one.temperature, offset=one.offset)


def _large_populations(images: Labelled) -> Iterator[tuple[Population, Mask]]:
    for name in get_args(Population):
        mask = images.populations == name
        patients = [
            len(np.unique(images.patients[mask & (images.labels == label)])) for label in (0, 1)
        ]
        if min(patients) >= LEAST_PATIENTS:
            yield name, mask
