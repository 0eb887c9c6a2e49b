"""Metrics of parts of the labelled images: by population, view, sex and age."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.bootstrap import DRAWS
from pipeline.evaluation.evaluate import Scores, evaluate
from pipeline.inference.version_folder import Card
from pipeline.subject import Subject

Groups = Mapping[str, Mapping[str, NDArray[np.bool_]]]

# Of each class: with fewer patients an interval of sensitivity or specificity is as wide as 0.3.
LEAST_PATIENTS: Final = 30
SUBGROUP_METRICS: Final = ("auroc", "sensitivity", "specificity")  # that tables show
_KEPT: Final = (
    *("axis", "group", "n", "patients", "pneumonia_patients", "normal_patients", "is_small"),
    "unfamiliar",
)
NOT_STATED: Final = "not stated"
AGE_BANDS: Final = (  # in years, from the first on
    (65.0, "65 and older"),
    (40.0, "40 to 64"),
    (18.0, "18 to 39"),
    (6.0, "6 to 17"),
    (0.0, "under 6"),
)


def groups_of(subjects: Sequence[Subject]) -> Groups:
    """Return the images of each group, bool (n,), by axis and group; both in a fixed order.

    An axis of which nothing is stated is left out. Views are also given within each population,
    where there are two: a network may tell the view instead of the lungs in one of them alone.
    """
    found = {
        axis: _masks([name_of(subject) or NOT_STATED for subject in subjects])
        for axis, name_of in AXES.items()
    }
    if len(found["population"].keys() - {NOT_STATED}) < 2:
        del found["population and view"]
    return {axis: masks for axis, masks in found.items() if masks.keys() - {NOT_STATED}}


def evaluate_subgroups(
    scores: Scores, groups: Groups, *, card: Card, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """Return one row for each group: its `axis` and `group`, what `evaluate` gives, and
    `pneumonia_patients`, `normal_patients` and `is_small`: too few of either for a judgement.
    """
    return [
        {"axis": axis, "group": name, **_counts(part), **evaluate(part, card=card, draws=draws)}
        for axis, masks in groups.items()
        for name, mask in masks.items()
        for part in [scores.where(mask)]
    ]


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card keeps of a row of `evaluate_subgroups`."""
    return {name: row[name] for name in (*_KEPT, *SUBGROUP_METRICS)}


def no_finding(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the share of images without a finding, of an `evaluate`, as a metric."""
    unfamiliar = found["unfamiliar"]
    return {"value": unfamiliar["share"], "low": unfamiliar["low"], "high": unfamiliar["high"]}


def age_band(age_years: float) -> str:
    return next(name for least, name in AGE_BANDS if age_years >= least)


def _population_and_view(subject: Subject) -> str | None:
    is_stated = subject.population and subject.view
    return f"{subject.population}, {subject.view}" if is_stated else None


AXES: Final[Mapping[str, Callable[[Subject], str | None]]] = {
    "population": lambda subject: subject.population,
    "view": lambda subject: subject.view,
    "population and view": _population_and_view,
    "sex": lambda subject: subject.sex,
    "age": lambda subject: None if subject.age_years is None else age_band(subject.age_years),
}
_ORDER: Final = ["children", "adults", *(name for _, name in reversed(AGE_BANDS))]


def _masks(names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    values = np.array(names)

    def place(name: str) -> tuple[bool, int, str]:
        return name == NOT_STATED, _ORDER.index(name) if name in _ORDER else 0, name

    return {name: values == name for name in sorted(set(names), key=place)}


def _counts(part: Scores) -> dict[str, Any]:
    patients = {
        name: len(np.unique(part.patients[part.labels == label]))
        for name, label in (("pneumonia_patients", 1), ("normal_patients", 0))
    }
    return {**patients, "is_small": min(patients.values()) < LEAST_PATIENTS}
