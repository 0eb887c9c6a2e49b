"""MODEL_CARD.md: card.json in words and tables, for people (Mitchell 2019)."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.markdown import figure_text, table
from pipeline.model_card_heatmap import heatmap_section
from pipeline.model_card_words import SPLITS_OF_A_FOLDER, SPLITS_OF_A_SNAPSHOT, TEMPLATE

Json = Mapping[str, Any]
OVERALL: Final = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "ece": "ECE",
}
AT_THRESHOLD: Final = ("accuracy", "sensitivity", "specificity", "precision", "f1")
TOLD_ELSEWHERE: Final = ("population", "known_limits", "model_version", "unfamiliar_warning")


def render_model_card(card: Json) -> str:
    """Markdown, of a card of format 2.

    Optional in the card: `commands`, by the name of a row of `metrics`, `heatmap_scores`, and
    what a training from a snapshot adds: `snapshot`, `started_from`, `mode`, `mixture`,
    `familiarity`.
    """
    rows, columns = card["heatmap"]
    metrics: Json = card["metrics"]
    values = {
        "side": card["network_input"][0],
        "heatmap": f"{rows} x {columns}",
        "git_commit": (card["git_commit"] or "of no checkout")[:12],
        "libraries": ", ".join(f"{name} {version}" for name, version in card["libraries"].items()),
        "population": card["population"] or "Not stated.",
        "data": _data(card["data"]),
        "splits": _splits(card),
        "recipe": _recipe(card["config"]),
        "overall": _overall(metrics),
        "points": "\n\n".join(_point(card, name) for name in card["operating_points"]),
        "commands": table(["", "command"], [(name, _command(card, name)) for name in metrics]),
        "errors": "; ".join(f"{name} {figure_text(row['ece'])}" for name, row in metrics.items()),
        "strange": "\n".join(_strange(name, row["unfamiliar"]) for name, row in metrics.items()),
        "known_limits": "\n".join(f"- {limit}" for limit in card["known_limits"]) or "Not stated.",
        "heatmap_scores": heatmap_section(card.get("heatmap_scores", {})),
    }
    return TEMPLATE.format(**{**card, **values})


def _data(data: Json) -> str:
    columns = ("images", "patients", "pneumonia_images", "sha256")
    rows = [(name, *(part[column] for column in columns)) for name, part in data.items()]
    return table(["", "images", "patients", "pneumonia images", "hash"], rows)


def _splits(card: Json) -> str:
    config = card["config"]
    if "snapshot" not in card:
        share = f"{config['validation_share']:.0%}"
        return SPLITS_OF_A_FOLDER.format(key=config["split_key"], share=share)
    start, familiarity = card["started_from"], card["familiarity"]
    is_kept = familiarity["guard"] == "kept"
    return SPLITS_OF_A_SNAPSHOT.format(
        **card["snapshot"],
        **card["mixture"],
        start=start.get("version") or f"{start['weights']} weights",
        what="the head alone" if card["mode"] == "head" else "head and upper blocks",
        guard=f"was kept from {familiarity['from']}" if is_kept else "was learned anew from these",
    )


def _recipe(config: Json) -> str:
    told = [(f"`{name}`", value) for name, value in config.items() if name not in TOLD_ELSEWHERE]
    return table(["setting", "value"], told)


def _overall(metrics: Json) -> str:
    rows = [
        [name, row["n"], row["patients"], f"{row['prevalence']['value']:.1%}"]
        + [figure_text(row[figure]) for figure in OVERALL]
        for name, row in metrics.items()
    ]
    return table(["", "images", "patients", "pneumonia", *OVERALL.values()], rows)


def _point(card: Json, point: str) -> str:
    chosen = card["operating_points"][point]
    rows = [
        (name, *(figure_text(row["operating_points"][point][figure]) for figure in AT_THRESHOLD))
        for name, row in card["metrics"].items()
    ]
    head = f"**{point.capitalize()}**, threshold {chosen['threshold']:.2f}: {chosen['rule']}."
    return head + "\n\n" + table(["", *AT_THRESHOLD], rows)


def _command(card: Json, row: str) -> str:
    known = {
        "validation": "overread evaluate chest_xray --split validation",
        "test": "overread evaluate chest_xray --split test",
    }
    is_of_folder = "snapshot" not in card
    command = ((known if is_of_folder else {}) | card.get("commands", {})).get(row)
    return f"`{command}`" if command else "not stated"


def _strange(name: str, unfamiliar: Json) -> str:
    return f"- {name}: {unfamiliar['count']} ({unfamiliar['share']:.1%})"
