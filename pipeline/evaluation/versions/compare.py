"""Paired comparison of a candidate with production on the same test images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS, LEVEL, Interval, bootstrap
from pipeline.evaluation.evaluate import Scores, is_predicted
from pipeline.evaluation.metrics import Draws, auroc_of_draws, ratio
from pipeline.inference.version_folder import Card

Figure = Literal["auroc", "sensitivity", "specificity", "unanswered"]
FIGURES: Final[tuple[Figure, ...]] = ("auroc", "sensitivity", "specificity", "unanswered")
Side = Literal["candidate", "production", "difference", "worst", "best"]
Measured = dict[tuple[Figure, Side], Draws]


@dataclass(frozen=True)
class Answers:
    """One version's scores of a test set, with the version's card."""

    scores: Scores
    card: Card

    @property
    def are_numbers(self) -> bool:
        return bool(np.isfinite(self.scores.probabilities).all())

    @property
    def y_pred(self) -> NDArray[np.bool_]:
        """(n,), predicted pneumonia, with or without a finding."""
        return is_predicted(self.scores, self.card)

    @property
    def is_unanswered(self) -> NDArray[np.bool_]:
        """(n,), without a finding."""
        limit = self.card.unfamiliarity_limit
        unanswered: NDArray[np.bool_] = self.scores.unfamiliarities > limit
        return unanswered

    def as_json(self) -> dict[str, Any]:
        return {
            "model_version": self.card.model_version,
            "operating_point": self.card.operating_point,
            "threshold": self.card.threshold,
        }


@dataclass(frozen=True)
class Pair:
    """One metric of both versions. difference: candidate minus production, from the same draws.

    The difference of shares has a wider interval where patients are few, see `_Share`.
    """

    candidate: Interval
    production: Interval
    difference: Interval

    def as_json(self) -> dict[str, Any]:
        return {side: interval.as_json() for side, interval in vars(self).items()}


@dataclass(frozen=True)
class Comparison:
    """Candidate and production on one test set.

    pneumonia_patients, normal_patients: with at least one such image; a patient may be both.
    level: of all intervals, see `level_of_each`. candidate, production: as `Answers.as_json`.
    auroc, sensitivity, specificity: of all images, each version at its own threshold.
    unanswered: share of images without a finding.
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
        pairs: dict[str, Any] = {name: getattr(self, name).as_json() for name in FIGURES}
        return {**vars(self), "level": round(self.level, 6), **pairs}


def level_of_each(sets: int, *, level: float = LEVEL) -> float:
    """Return the level of each set's intervals so that all hold together with `level`.

    Bonferroni's correction for several test sets.
    """
    return 1 - (1 - level) / max(sets, 1)


def compare(
    name: str, candidate: Answers, production: Answers, *, level: float = LEVEL, draws: int = DRAWS
) -> Comparison:
    """Compare both versions on one test set by a paired bootstrap over patients.

    Metrics are None where one finding is missing or scores are not numbers. Raises ValueError
    unless both scored the same images in the same order.
    """
    scores = production.scores
    if not len(scores):
        raise ValueError("expected at least one image, received none")
    for field in ("labels", "patients"):
        if not np.array_equal(getattr(candidate.scores, field), getattr(scores, field)):
            raise ValueError(
                "expected the same images in the same order, received two different sets"
            )
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


def _pair(found: Mapping[tuple[Figure, Side], Interval], figure: Figure) -> Pair:
    difference = Interval(
        value=found[figure, "difference"].value,
        low=found[figure, "worst"].low,
        high=found[figure, "best"].high,
    )
    return Pair(found[figure, "candidate"], found[figure, "production"], difference)


@dataclass(frozen=True)
class _Share:
    """The share of the images `among` that each version has; all are bool (n,).

    Where no patient happens to differ, a bootstrap sees no difference, however few they are; yet
    of n patients without a loss up to 3.7 / n may be lost at a level of 95 % (Hanley and
    Lippman-Hand 1983; Clopper and Pearson 1934). So one more patient is drawn along with the
    others, who counts against the candidate at the lower end and for it at the upper one. For any
    number of losses that comes close to the exact bounds.
    """

    among: NDArray[np.bool_]
    candidate: NDArray[np.bool_]
    production: NDArray[np.bool_]
    images_per_patient: float  # among them, on average

    def measure(self, weights: Draws, drawn: Draws) -> dict[Side, Draws]:
        """drawn: float64 (d,), how often the additional patient was drawn."""
        whole = weights @ self.among
        ours = weights @ (self.among & self.candidate)
        theirs = weights @ (self.among & self.production)
        more = drawn * self.images_per_patient
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
        ours, theirs = (
            auroc_of_draws(one.scores.labels, one.scores.probabilities, weights=weights)
            for one in (candidate, production)
        )
        found: Measured = {("auroc", "candidate"): ours, ("auroc", "production"): theirs}
        found |= {("auroc", side): ours - theirs for side in ("difference", "worst", "best")}
        for figure, share in shares.items():
            found |= {(figure, side): part for side, part in share.measure(weights, drawn).items()}
        if not (candidate.are_numbers and production.are_numbers):
            found = {key: np.full(len(weights), np.nan) for key in found}
        return found

    return measure


def _shares(candidate: Answers, production: Answers) -> dict[Figure, _Share]:
    def share(
        among: NDArray[np.bool_], first: NDArray[np.bool_], second: NDArray[np.bool_]
    ) -> _Share:
        patients = max(1, len(np.unique(production.scores.patients[among])))
        return _Share(among, first, second, images_per_patient=among.sum() / patients)

    is_positive = production.scores.labels == 1
    every_image = np.ones(len(is_positive), np.bool_)
    return {
        "sensitivity": share(is_positive, candidate.y_pred, production.y_pred),
        "specificity": share(~is_positive, ~candidate.y_pred, ~production.y_pred),
        "unanswered": share(every_image, candidate.is_unanswered, production.is_unanswered),
    }
