"""MODEL_CARD.md: card.json in words and tables, for people (Mitchell 2019)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
from pipeline.reports.templates import figure, render
from pipeline.text import percent

Json = Mapping[str, Any]
RANKED: Final = [name for name in OVERALL if name != "prevalence"]
HEATMAP_METRICS: Final = {
    "pointing_game": "peak in a box (pointing game)",
    "mean_iou": "mean IoU",
    "energy_inside": "energy inside boxes",
}
REFERENCES: Final = {
    "centre_prior": "a spot in the centre of every image",
    "mean_heatmap": "the mean heatmap of the other images",
    "mean_boxes": "the mean of the other images' boxes",
    "own_boxes": "the image's own boxes at the heatmap's resolution (upper bound)",
}
SHOWN_ELSEWHERE: Final = ("population", "known_limits", "model_version", "unfamiliar_warning")
COMMANDS_OF_A_FOLDER: Final = {
    "validation": "overread evaluate chest_xray --split validation",
    "test": "overread evaluate chest_xray --split test",
}


def render_model_card(card: Json) -> str:
    """Return Markdown for a card of format 2.

    Optional in the card: `commands` by row of `metrics`, `heatmap_scores` as
    `benchmarks.heatmap_score` measures them, and what a training from a snapshot adds:
    `snapshot`, `started_from`, `mode`, `mixture`, `familiarity`.
    """
    rows, columns = card["heatmap"]
    metrics: Json = card["metrics"]
    commands = ({} if "snapshot" in card else COMMANDS_OF_A_FOLDER) | card.get("commands", {})
    scores = card.get("heatmap_scores", {})
    references = {name: label for name, label in REFERENCES.items() if name in scores}
    return render(
        "MODEL_CARD.md.j2",
        **{"heatmap_scores": {}, **card},
        side=card["network_input"][0],
        grid=f"{rows} x {columns}",
        data_rows=[
            (name, *(part[key] for key in ("images", "patients", "pneumonia_images", "sha256")))
            for name, part in card["data"].items()
        ],
        settings=[
            (f"`{name}`", value)
            for name, value in card["config"].items()
            if name not in SHOWN_ELSEWHERE
        ],
        OVERALL=[METRICS[name] for name in RANKED],
        AT_THRESHOLD=[METRICS[name] for name in AT_THRESHOLD],
        HEATMAP_METRICS=list(HEATMAP_METRICS.values()),
        overall_rows=[
            (
                name,
                row["n"],
                row["patients"],
                percent(row["prevalence"]["value"]),
                *_figures(row, RANKED),
            )
            for name, row in metrics.items()
        ],
        point_rows={
            point: [
                (name, *_figures(row["operating_points"][point], AT_THRESHOLD))
                for name, row in metrics.items()
            ]
            for point in card["operating_points"]
        },
        command_rows=[
            (name, f"`{commands[name]}`" if name in commands else "not stated") for name in metrics
        ],
        heatmap_rows=[
            (label, *_figures(found, HEATMAP_METRICS))
            for label, found in [
                ("the heatmap", scores),
                *((label, scores[name]) for name, label in references.items()),
            ]
        ],
        gain_rows=[
            (label, *_figures(scores[name], [f"{metric}_gain" for metric in HEATMAP_METRICS]))
            for name, label in references.items()
        ],
        randomisation_rows=[
            (row["layers"], figure({**row, "value": row["correlation"]}), percent(row["empty"]))
            for row in scores.get("randomisation", ())
        ],
    )


def _figures(row: Json, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(figure(row.get(name)) for name in names)
