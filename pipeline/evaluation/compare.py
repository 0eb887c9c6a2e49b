"""A candidate beside production on the same test images, and what chance may have done to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS, LEVEL, Interval, bootstrap
from pipeline.evaluation.evaluate import Scores
from pipeline.evaluation.metrics import Draws, auroc_of_draws, ratio
from pipeline.types import OperatingPoint

Figure = Literal["auroc", "sensitivity", "specificity", "unanswered"]
FIGURES: Final[tuple[Figure, ...]] = ("auroc", "sensitivity", "specificity", "unanswered")
Side = Literal["candidate", "production", "difference", "worst", "best"]
Measured = dict[tuple[Figure, Side], Draws]


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

    @property
    def is_called(self) -> NDArray[np.bool_]:
        """(n,): pneumonia, whether or not it is shown."""
        called: NDArray[np.bool_] = self.scores.probabilities >= self.threshold
        return called

    @property
    def is_unanswered(self) -> NDArray[np.bool_]:
        """(n,)."""
        unanswered: NDArray[np.bool_] = self.scores.unfamiliarities > self.unfamiliarity_limit
        return unanswered

    def as_json(self) -> dict[str, Any]:
        return {
            "model_version": self.model_version,
            "operating_point": self.operating_point,
            "threshold": self.threshold,
        }


@dataclass(frozen=True)
class Pair:
    """One figure of both. difference: candidate's less production's, from the same draws.

    Of shares, the difference's interval also counts what few patients cannot show, see `_Share`.
    """

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
    return Comparison(
        name=name,
        images=len(scores),
        patients=len(np.unique(scores.patients)),
        pneumonia_patients=len(np.unique(scores.patients[scores.labels == 1])),
        normal_patients=len(np.unique(scores.patients[scores.labels == 0])),
        level=level,
        candidate=candidate.as_json(),
        production=production.as_json(),
        **{figure: _pair(found, figure) for figure in FIGURES},
    )


def _check_same_images(candidate: Scores, production: Scores) -> None:
    if not len(production):
        raise ValueError("expected at least one image, received none")
    is_same = np.array_equal(candidate.labels, production.labels) and np.array_equal(
        candidate.patients, production.patients
    )
    if not is_same:
        raise ValueError("expected the same images in the same order, received two different sets")


def _pair(found: Mapping[tuple[Figure, Side], Interval], figure: Figure) -> Pair:
    difference = Interval(
        value=found[figure, "difference"].value,
        low=found[figure, "worst"].low,
        high=found[figure, "best"].high,
    )
    return Pair(found[figure, "candidate"], found[figure, "production"], difference)


@dataclass(frozen=True)
class _Share:
    """Of the images `among`, (n,), those that either version has: called, cleared or unanswered.

    Where no patient happens to differ, a bootstrap sees no difference, however few they are; yet
    of n patients without a loss up to 3.7 / n may be lost at a level of 95 % (Hanley and
    Lippman-Hand 1983; Clopper and Pearson 1934). So one patient more is drawn along with the
    others, who counts against the candidate at the lower end and for it at the upper one. For any
    number of losses that comes close to the exact bounds.
    """

    among: NDArray[np.bool_]
    candidate: NDArray[np.bool_]
    production: NDArray[np.bool_]
    images_of_one: float  # of a patient among them, on average

    def measure(self, weights: Draws, drawn: Draws) -> dict[Side, Draws]:
        """drawn: float64 (d,), how often the patient more was drawn."""
        whole = weights @ self.among
        ours, theirs = (
            weights @ (self.among & self.candidate),
            weights @ (self.among & self.production),
        )
        more = drawn * self.images_of_one
        return {
            "candidate": ratio(ours, whole),
            "production": ratio(theirs, whole),
            "difference": ratio(ours - theirs, whole),
            "worst": ratio(ours - theirs - more, whole + more),
            "best": ratio(ours - theirs + more, whole + more),
        }


def _measure(candidate: Answers, production: Answers) -> Callable[[Draws], Measured]:
    shares = _shares(candidate, production)
    random = np.random.default_rng(0)

    def measure(weights: Draws) -> Measured:
        drawn = random.poisson(1.0, len(weights)).astype(np.float64)
        ours, theirs = _auroc(candidate, weights), _auroc(production, weights)
        gain = ours - theirs
        found: Measured = {("auroc", "candidate"): ours, ("auroc", "production"): theirs}
        found |= {("auroc", side): gain for side in ("difference", "worst", "best")}
        for figure, share in shares.items():
            found |= {(figure, side): part for side, part in share.measure(weights, drawn).items()}
        if not (candidate.are_numbers and production.are_numbers):
            found = {key: np.full(len(weights), np.nan) for key in found}
        return found

    return measure


def _auroc(answers: Answers, weights: Draws) -> Draws:
    return auroc_of_draws(answers.scores.labels, answers.scores.probabilities, weights=weights)


def _shares(candidate: Answers, production: Answers) -> dict[Figure, _Share]:
    is_ill = production.scores.labels == 1
    ours, theirs = candidate.is_called, production.is_called

    def share(
        among: NDArray[np.bool_], first: NDArray[np.bool_], second: NDArray[np.bool_]
    ) -> _Share:
        patients = max(1, len(np.unique(production.scores.patients[among])))
        return _Share(among, first, second, images_of_one=among.sum() / patients)

    everything = np.ones(len(is_ill), np.bool_)
    return {
        "sensitivity": share(is_ill, ours, theirs),
        "specificity": share(~is_ill, ~ours, ~theirs),
        "unanswered": share(everything, candidate.is_unanswered, production.is_unanswered),
    }
