"""An evaluation as text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
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


def _refused(count: int, files: Sequence[Mapping[str, str]]) -> list[str]:
    if not count:
        return []
    lines = [f"refused: {count}", *("  {file}: {reason}".format(**one) for one in files[:SHOWN])]
    more = count - min(SHOWN, len(files))
    return lines + ([f"  ... and {more} more; --json and --report name them"] if more else [])
