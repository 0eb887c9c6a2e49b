"""A candidate beside production on the same test images, and what chance may have done to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.bootstrap import DRAWS, LEVEL, Interval, bootstrap
from pipeline.evaluation import Scores
from pipeline.metrics import Draws, auroc_of_draws, confusion_matrix, rates, ratio
from pipeline.types import OperatingPoint

Figure = Literal["auroc", "sensitivity", "specificity", "unanswered"]
FIGURES: Final[tuple[Figure, ...]] = ("auroc", "sensitivity", "specificity", "unanswered")
Side = Literal["candidate", "production", "difference"]


@dataclass(frozen=True)
class Answers:
    """What one version says of the images of a test set.

    threshold: of the probability, at the operating point. unfamiliarity_limit: beyond it an image
    gets no answer.
    """

    model_version: str
    scores: Scores
    operating_point: OperatingPoint
    threshold: float
    unfamiliarity_limit: float

    @property
    def are_numbers(self) -> bool:
        return bool(np.isfinite(self.scores.probabilities).all())

    def as_json(self) -> dict[str, Any]:
        return {
            "model_version": self.model_version,
            "operating_point": self.operating_point,
            "threshold": self.threshold,
        }


@dataclass(frozen=True)
class Pair:
    """One figure of both. difference: candidate's less production's, from the same draws."""

    candidate: Interval
    production: Interval
    difference: Interval

    def as_json(self) -> dict[str, Any]:
        return {
            "candidate": self.candidate.as_json(),
            "production": self.production.as_json(),
            "difference": self.difference.as_json(),
        }


@dataclass(frozen=True)
class Comparison:
    """Candidate and production on one test set.

    pneumonia_patients, normal_patients: with at least one such image; one patient may be both.
    level: of all intervals, see `level_of_each`. candidate, production: as `Answers.as_json`.
    auroc: of all images. sensitivity, specificity: of all images, each version at its own
    threshold. unanswered: share of images that get no finding.
    """

    name: str
    images: int
    patients: int
    pneumonia_patients: int
    normal_patients: int
    level: float
    candidate: Mapping[str, Any]
    production: Mapping[str, Any]
    auroc: Pair
    sensitivity: Pair
    specificity: Pair
    unanswered: Pair

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "images": self.images,
            "patients": self.patients,
            "pneumonia_patients": self.pneumonia_patients,
            "normal_patients": self.normal_patients,
            "level": round(self.level, 6),
            "candidate": dict(self.candidate),
            "production": dict(self.production),
            "auroc": self.auroc.as_json(),
            "sensitivity": self.sensitivity.as_json(),
            "specificity": self.specificity.as_json(),
            "unanswered": self.unanswered.as_json(),
        }


def level_of_each(sets: int, *, level: float = LEVEL) -> float:
    """Of the intervals of each of so many test sets, so that all hold at once with `level`.

    Bonferroni's correction: whoever looks at more sets finds a lucky one sooner.
    """
    return 1 - (1 - level) / max(sets, 1)


def compare(
    name: str,
    candidate: Answers,
    production: Answers,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Comparison:
    """Both on one test set, by a paired bootstrap over patients.

    Both must have answered the same images in the same order, else ValueError. A figure is None
    where it cannot be: one finding is missing, or answers are not numbers.
    """
    _check_same_images(candidate.scores, production.scores)
    scores = production.scores
    found = bootstrap(
        _measure(candidate, production), patients=scores.patients, level=level, draws=draws
    )
    pairs = {
        figure: Pair(
            candidate=found[figure, "candidate"],
            production=found[figure, "production"],
            difference=found[figure, "difference"],
        )
        for figure in FIGURES
    }
    return Comparison(
        name=name,
        images=len(scores),
        patients=len(np.unique(scores.patients)),
        pneumonia_patients=len(np.unique(scores.patients[scores.labels == 1])),
        normal_patients=len(np.unique(scores.patients[scores.labels == 0])),
        level=level,
        candidate=candidate.as_json(),
        production=production.as_json(),
        **pairs,
    )


def _check_same_images(candidate: Scores, production: Scores) -> None:
    if not len(production):
        raise ValueError("expected at least one image, received none")
    is_same = np.array_equal(candidate.labels, production.labels) and np.array_equal(
        candidate.patients, production.patients
    )
    if not is_same:
        raise ValueError("expected the same images in the same order, received two different sets")


def _measure(
    candidate: Answers, production: Answers
) -> Callable[[Draws], dict[tuple[Figure, Side], Draws]]:
    first, second = _figures_of(candidate), _figures_of(production)

    def measure(weights: Draws) -> dict[tuple[Figure, Side], Draws]:
        ours, theirs = first(weights), second(weights)
        found: dict[tuple[Figure, Side], Draws] = {}
        for figure in FIGURES:
            found[figure, "candidate"] = ours[figure]
            found[figure, "production"] = theirs[figure]
            found[figure, "difference"] = ours[figure] - theirs[figure]
        return found

    return measure


def _figures_of(answers: Answers) -> Callable[[Draws], dict[Figure, Draws]]:
    labels, probabilities = answers.scores.labels, answers.scores.probabilities
    is_called: NDArray[np.bool_] = probabilities >= answers.threshold
    is_unanswered = answers.scores.unfamiliarities > answers.unfamiliarity_limit

    def figures(weights: Draws) -> dict[Figure, Draws]:
        if not answers.are_numbers:
            return dict.fromkeys(FIGURES, np.full(len(weights), np.nan))
        found = rates(confusion_matrix(labels, is_called, weights=weights))
        return {
            "auroc": auroc_of_draws(labels, probabilities, weights=weights),
            "sensitivity": found["sensitivity"],
            "specificity": found["specificity"],
            "unanswered": ratio(weights @ is_unanswered, weights.sum(axis=1)),
        }

    return figures
