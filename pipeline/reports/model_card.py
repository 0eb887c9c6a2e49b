"""MODEL_CARD.md: card.json in words and tables, for people (Mitchell 2019)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.evaluation.metrics import AT_THRESHOLD, METRICS, OVERALL
from pipeline.evaluation.subgroups import LEAST_PATIENTS, SUBGROUP_METRICS
from pipeline.prevalence import predictive_values
from pipeline.reports.templates import render
from pipeline.text import percent

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
PREVALENCES: Final = (0.05, 0.1, 0.25, 0.5)
DECISION_THRESHOLDS: Final = (0.1, 0.22, 0.3, 0.5, 0.7)
# Sections of the card, with the items of the two guidelines in their own words.
REPORTING: Final = (
    ("Intended use", "background and clinical role", "healthcare context, target population"),
    ("Model", "description of the model, inputs and outputs", "model output, model specification"),
    ("Training data", "data sources, data partitions", "data sources, participants"),
    ("Configuration", "initialisation and training details", "analytical methods"),
    ("Performance", "metrics with their uncertainty", "performance with confidence intervals"),
    ("Subgroups", "demographic characteristics", "fairness, performance in key subgroups"),
    ("Decision curve", "metrics of performance", "clinical utility"),
    ("Calibration", "metrics of performance", "calibration"),
    ("Known limits", "limitations", "limitations"),
    ("Heatmap", "explainability or interpretability", "–"),
)
SHOWN_ELSEWHERE: Final = ("population", "known_limits", "model_version", "unfamiliar_warning")
COMMANDS_OF_A_FOLDER: Final = {
    "validation": "overread evaluate chest_xray --split validation",
    "test": "overread evaluate chest_xray --split test",
}


def render_model_card(card: Json) -> str:
    """Return Markdown for a card of format 2 or 3.

    What came with format 3: `subgroups`, `decision_curves`, perhaps `populations`.
    Optional in the card: `commands` by row of `metrics`, `heatmap_scores` as
    `heatmaps.scores.score_heatmaps` measures them, and what a training from a snapshot adds:
    `snapshot`, `started_from`, `mode`, `mixture`, `familiarity`.
    """
    rows, columns = card["heatmap"]
    commands = ({} if "snapshot" in card else COMMANDS_OF_A_FOLDER) | card.get("commands", {})
    scores = card.get("heatmap_scores", {})
    is_new = card["format"] >= 3
    return render(
        "MODEL_CARD.md.j2",
        **{
            **{"populations": {}, "subgroups": {}},
            **card,
            **{"heatmap_scores": scores, "commands": commands},
            "decision_curves": dict(_net_benefits(card.get("decision_curves", {}))),
        },
        predictive_values=dict(_predictive_values(card["metrics"])) if is_new else {},
        prevalence_titles=[f"at {share:.0%}" for share in PREVALENCES],
        DECISION_THRESHOLDS=[f"at {threshold:g}" for threshold in DECISION_THRESHOLDS],
        REPORTING=REPORTING if is_new else (),
        SUBGROUP_METRICS=SUBGROUP_METRICS,
        LEAST_PATIENTS=LEAST_PATIENTS,
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


def _predictive_values(metrics: Json) -> Iterator[tuple[str, list[str]]]:
    for name, row in metrics.items():
        at = row["operating_points"]["balanced"]
        rates = at["sensitivity"]["value"], at["specificity"]["value"]
        if None not in rates:
            yield name, [_ppv_npv(*rates, share) for share in PREVALENCES]


def _ppv_npv(sensitivity: float, specificity: float, prevalence: float) -> str:
    found = predictive_values(
        sensitivity=sensitivity, specificity=specificity, prevalence=prevalence
    )
    return ", ".join("–" if one is None else percent(one) for one in found)


def _net_benefits(curves: Json) -> Iterator[tuple[str, list[str]]]:
    for name, curve in curves.items():
        by_threshold = {point["threshold"]: point for point in (curve or {"points": []})["points"]}
        if by_threshold:
            points = [by_threshold[threshold] for threshold in DECISION_THRESHOLDS]
            yield name, [f"{one['net_benefit']['value']:.3f} ({one['all']:.3f})" for one in points]
