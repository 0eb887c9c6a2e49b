"""Scores of heatmaps as text for a terminal."""

from collections.abc import Mapping
from typing import Any, Final

import click

from pipeline.evaluation.heatmaps.scores import METRICS
from pipeline.text import plural

ROWS: Final = {
    "heatmap": "heatmap",
    "centre_prior": "centre of each image",
    "mean_heatmap": "other heatmaps' mean",
    "mean_boxes": "other boxes' mean",
    "own_boxes": "own boxes (bound)",
}


def print_heatmap_scores(scores: Mapping[str, Any]) -> None:
    """scores: as of `score_heatmaps`."""
    click.echo("Heatmaps against readers' boxes; 95 % intervals")
    click.echo(_table(scores))
    click.echo("\nThose with boxes where the others have fewest")
    click.echo(_table(scores["unusual_places"]))
    kinds = scores["kinds"].items()
    counts = ", ".join(f"{kind} {one['hits']} of {one['images']}" for kind, one in kinds)
    click.echo(f"\nPeaks in a box by kind of heatmap: {counts}")


def _table(scores: Mapping[str, Any]) -> str:
    counts = plural(scores["images"], "image"), plural(scores["patients"], "patient")
    covered = f"boxes cover {scores['share_inside_boxes']:.3f} of an image"
    heading = f"{'':24}" + "".join(f"{metric.replace('_', ' '):26}" for metric in METRICS)
    rows = [{"heatmap": scores, **scores}[name] for name in ROWS]
    lines = [
        f"  {label:22}" + "".join(f"{_text(row[metric]):26}" for metric in METRICS).rstrip()
        for label, row in zip(ROWS.values(), rows, strict=True)
    ]
    return "\n".join([f"{counts[0]} of {counts[1]}; {covered}", heading.rstrip(), *lines])


def _text(interval: Mapping[str, float]) -> str:
    return "{value:.3f} ({low:.3f} to {high:.3f})".format(**interval)
