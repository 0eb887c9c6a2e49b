"""As whose image each is read, where a version reads children and adults apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.inference.version_folder import Card
from pipeline.text import read_as
from pipeline.types import Calibration, Inference, Population


class PopulationHead(Protocol):
    """Tells the population from the network's own output."""

    def __call__(self, inference: Inference) -> Sequence[Population]:
        """Return one for each of the n images."""
        ...


@dataclass(frozen=True)
class Reading:
    """population: None where the version reads all alike. warning: a sentence where the population
    is not stated.
    """

    calibration: Calibration
    population: Population | None = None
    warning: str | None = None


def choose_readings(
    card: Card,
    stated: Sequence[Population | None],
    inference: Inference,
    *,
    head: PopulationHead | None = None,
) -> list[Reading]:
    """Return for each image the reading of its stated population, else of the one that the head
    tells, else of the version's default.
    """
    if not card.populations:
        return [Reading(card.calibration)] * len(stated)
    told = head(inference) if head and None in stated else [card.default_population] * len(stated)
    found = []
    for known, guess in zip(stated, told, strict=True):
        population = known or guess
        warning = None if known else f"no age is stated: {read_as(str(guess))}"
        found.append(Reading(card.calibration_of(population), population, warning))
    return found
