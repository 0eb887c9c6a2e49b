"""The heatmap's scores in the model card: as tables, whatever of them is in card.json."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.markdown import figure_text, table

METRICS: Final = {
    "pointing_game": "peak in a box (pointing game)",
    "mean_iou": "mean IoU",
    "energy_inside": "energy inside boxes",
}
GUESSES: Final = {
    "centre_prior": "a spot in the middle of every film",
    "mean_heatmap": "the mean heatmap of the other films",
    "mean_boxes": "the mean of the other films' boxes",
}


def heatmap_section(scores: Mapping[str, Any]) -> str:
    """Markdown. scores: as `heatmap_score.score_external` gives them; may be empty."""
    if not scores:
        return "It was not compared with readers' boxes."
    rows = [["the heatmap", *_cells(scores)]]
    rows += [[words, *_cells(scores[name])] for name, words in GUESSES.items() if name in scores]
    parts = [
        f"Against the boxes that readers drew on {scores.get('images', 'some')} films of adults, "
        "beside guesses that see no film. A heatmap that is worth its name beats them.",
        table(["", *METRICS.values()], rows),
    ]
    if "randomisation" in scores:
        parts += [
            "With its weights replaced by noise, the heatmap should change (Adebayo 2018). "
            "How like the true heatmap it stays:",
            table(["", "value"], _flat(scores["randomisation"])),
        ]
    return "\n\n".join(parts)


def _cells(scores: Mapping[str, Any]) -> list[str]:
    return [figure_text(scores.get(name)) for name in METRICS]


def _flat(values: Mapping[str, Any], *, prefix: str = "") -> list[list[str]]:
    """Nested names joined; an interval is one value."""
    rows: list[list[str]] = []
    for name, value in values.items():
        words = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping) and "value" not in value:
            rows += _flat(value, prefix=f"{words}, ")
        else:
            rows.append([words, figure_text(value)])
    return rows
