"""Charts of subgroups and of the decision curve."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pipeline.evaluation.subgroups import NOT_STATED
from pipeline.reports.charts import Axis, Chart, Dot, Line

KINDS = {"sensitivity": "pneumonia", "specificity": "normal"}  # with the classes' colours
LOWEST = -0.1  # net benefit that is drawn


def subgroup_charts(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return a chart for each axis of `evaluate_subgroups`: both rates with their intervals."""
    by_axis = groupby(rows, key=lambda row: row["axis"])
    return [_subgroup_chart(axis, _stated(group)) for axis, group in by_axis]


def decision_chart(curve: Mapping[str, Any] | None, *, name: str) -> Chart | None:
    """curve: see `decision_curve`. None without one."""
    if not curve:
        return None
    points, prevalence = curve["points"], curve["prevalence"]
    everyone = [(point["threshold"], point["all"]) for point in points if point["all"] >= LOWEST]
    ours = [(point["threshold"], max(point["net_benefit"]["value"], LOWEST)) for point in points]
    top = math.ceil(10 * prevalence + 0.5) / 10
    ticks = tuple((n / 10, f"{n / 10:g}") for n in range(round(10 * LOWEST), round(10 * top) + 1))
    return Chart(
        title="Decision curve",
        x=Axis("threshold probability"),
        y=Axis("net benefit", low=LOWEST, high=top, ticks=ticks),
        lines=(Line("version", name, ours), Line("normal", "every image called", everyone)),
        references=(((0, 0), (1, 0)),),
        note=f"At a prevalence of {prevalence:.0%}. Grey line: no image called.",
        key=(("version", "by this version"), ("normal", "every image called")),
        key_at=(48, 8),
    )


def _stated(rows: Iterator[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["group"] != NOT_STATED]


def _subgroup_chart(axis: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    places = range(1, len(rows) + 1)
    ticks = tuple((place, row["group"]) for place, row in zip(places, rows, strict=True))
    return Chart(
        title=f"By {axis}",
        x=Axis("too few patients: small dots", low=0.4, high=len(rows) + 0.6, ticks=ticks),
        y=Axis("sensitivity, specificity"),
        lines=tuple(
            Line(kind, metric, dots=tuple(_dots(rows, metric, shift)))
            for (metric, kind), shift in zip(KINDS.items(), (-0.08, 0.08), strict=True)
        ),
        key=tuple((kind, metric) for metric, kind in KINDS.items()),
        key_at=(4, 84),
    )


def _dots(rows: Sequence[Mapping[str, Any]], metric: str, shift: float) -> Iterator[Dot]:
    for place, row in enumerate(rows, start=1):
        found = row[metric]
        if found["value"] is not None:
            text = f"{row['group']}: {found['value']:.3f}"
            radius = 1.2 if row["is_small"] else 2.4
            yield Dot(place + shift, found["value"], text, found["low"], found["high"], radius)
