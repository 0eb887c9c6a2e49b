"""An evaluation as text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from cli.learn.heatmap_table import print_heatmap_scores
from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
from pipeline.evaluation.subgroups import SUBGROUP_METRICS, no_finding
from pipeline.text import plural, readable

SHOWN = 20  # refused files


def print_evaluation(found: Mapping[str, Any], *, name: str) -> None:
    """found: as `--json` prints it."""
    images, patients = plural(found["n"], "image"), plural(found["patients"], "patient")
    click.echo(readable(f"{found['model_version']} on {name}"))
    click.echo(f"{images} of {patients}; 95 % intervals\n")
    click.echo(_lines(found, OVERALL))
    click.echo(
        f"\nOperating point {found['operating_point']}: threshold {found['threshold']:.2f}, "
        f"temperature {found['temperature']:.3f}\n"
    )
    click.echo(_lines(found, AT_THRESHOLD))
    click.echo(_matrix(found["confusion_matrix"]))
    if found["subgroups"]:
        click.echo("\n".join(_subgroups(found["subgroups"])))
    if agreement := found.get("agreement"):
        click.echo("\n" + "\n".join(_agreement(agreement)))
    if "heatmap_scores" in found:
        print_heatmap_scores(found["heatmap_scores"])
    remainder = [
        f"without a finding (out of distribution), but counted above: "
        f"{found['unfamiliar']['count']}",
        *found["notes"],
        *_refused(**found["refused"]),
    ]
    click.echo("\n".join(map(readable, remainder)))


def _lines(found: Mapping[str, Any], names: Iterable[str]) -> str:
    return "\n".join(f"  {METRICS[name]:<24} {_text(found[name])}" for name in names)


def _text(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "    -  (needs both classes, or a prediction of pneumonia)"
    return "{value:.4f}  {low:.4f} to {high:.4f}".format(**figure)


def _matrix(counts: Mapping[str, int]) -> str:
    rows = [
        ("", "predicted pneumonia", "predicted normal"),
        ("labelled pneumonia", counts["true_positives"], counts["false_negatives"]),
        ("labelled normal", counts["false_positives"], counts["true_negatives"]),
    ]
    return "\n" + "".join(
        f"  {name:<18}{positive:>21}{negative:>18}\n" for name, positive, negative in rows
    )


def _subgroups(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    titles = (METRICS[name] for name in SUBGROUP_METRICS)
    yield "\n  {:<24}{:>8}{:>10}  ".format("", "images", "patients") + "".join(
        f"{title:<24}" for title in (*titles, "No finding")
    )
    for row in rows:
        counts = f"  {row['group']:<24}{row['n']:>8}{row['patients']:>10}  "
        figures = [*(row[name] for name in SUBGROUP_METRICS), no_finding(row)]
        shown = "".join(f"{_short(figure):<24}" for figure in figures)
        yield f"{counts}{shown}{'too few patients' if row['is_small'] else ''}".rstrip()


def _agreement(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Agreement with {found['model_version']} ({found['precision']}):"
    yield f"  {'same finding':<24} {_text(found['same_finding'])}"
    yield f"  {'kappa':<24} {_text(found['kappa'])}"
    yield f"  {'probability differs by':<24} {_text(found['probability_difference'])}"
    for name, difference in found["differences"].items():
        yield f"  {f'{METRICS[name]}, difference':<24} {_text(difference)}"


def _short(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "-"
    return "{value:.3f} ({low:.3f} to {high:.3f})".format(**figure)


def _refused(count: int, files: Sequence[Mapping[str, str]]) -> list[str]:
    if not count:
        return []
    lines = [f"refused: {count}", *("  {file}: {reason}".format(**one) for one in files[:SHOWN])]
    more = count - min(SHOWN, len(files))
    return lines + ([f"  ... and {more} more; --json and --report name them"] if more else [])
