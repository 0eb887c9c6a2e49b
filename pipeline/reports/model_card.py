"""MODEL_CARD.md: card.json in words and tables, for people (Mitchell 2019)."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
from pipeline.reports.templates import render

Json = Mapping[str, Any]
HEATMAP_METRICS: Final = {
    "pointing_game": "peak in a box (pointing game)",
    "mean_iou": "mean IoU",
    "energy_inside": "energy inside boxes",
    "peak_outside_body": "peak outside the body",  # not in cards of earlier releases
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
    `heatmaps.scores.score_heatmaps` measures them, and what a training from a snapshot adds:
    `snapshot`, `started_from`, `mode`, `mixture`, `familiarity`.
    """
    rows, columns = card["heatmap"]
    commands = ({} if "snapshot" in card else COMMANDS_OF_A_FOLDER) | card.get("commands", {})
    scores = card.get("heatmap_scores", {})
    return render(
        "MODEL_CARD.md.j2",
        **{**card, "heatmap_scores": scores, "commands": commands},
        side=card["network_input"][0],
        grid=f"{rows} x {columns}",
        SHOWN_ELSEWHERE=SHOWN_ELSEWHERE,
        OVERALL=OVERALL,
        AT_THRESHOLD=AT_THRESHOLD,
        HEATMAP_METRICS={name: title for name, title in HEATMAP_METRICS.items() if name in scores},
        titles=lambda names: [METRICS[name] for name in names],
        references=_references(scores),
        unusual_references=_references(scores.get("unusual_places", {})),
    )


def _references(scores: Json) -> list[tuple[str, Json]]:
    return [(label, scores[name]) for name, label in REFERENCES.items() if name in scores]
