"""MODEL_CARD.md: card.json in words and tables, for people (Mitchell 2019).

The heatmap's scores in the model card: as tables, whatever of them is in card.json.

The model card's standing text.

Small pieces of Markdown.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

TEMPLATE: Final = """\
# Model card: {model_version}

Generated from `card.json`; change that, not this.

**Research use only.** Not a medical device, not for diagnosis, not for deciding treatment.

## Intended use

A second reading of frontal chest radiographs of small children, in research: people who read every
film themselves sort a work list by it, compare their reading with it, or study how such networks
fail.

**Out of scope:** diagnosis or treatment; reading without a reader; ruling pneumonia out; adults
(see the figures below); lateral views, other body parts, other kinds of images; any other disease;
the probability as a patient's risk.

## What it is

{architecture}.
It reads one frontal chest radiograph ({side} x {side}, 8 bit grey, squashed to a square) and gives
the probability of pneumonia, a {heatmap} Grad-CAM heatmap, and how unlike its training images the
radiograph is.

Made {created_at} by code {git_commit} with {libraries}.

## Whom it learned from

{population}

{data}

No patient is in both. {splits}

## Recipe

{recipe}

## How good it is

Every figure comes with its 95 % interval from a bootstrap over patients, and counts all images that
could be read, also those that get no finding because they are unfamiliar. Weights, temperature and
thresholds were chosen with the validation patients in view: only the other rows, where there are
any, are untouched by choice.

{overall}

Brier score and ECE (expected calibration error, ten bins of equal width): lower is better. The
interval of the ECE lies somewhat high, since drawing patients anew adds chance of its own.

{points}

These commands measure the rows anew, with `--version` where this version is not the one that ships,
and `--operating-point sensitive` for the other threshold:

{commands}

### Calibration

The probability is that of the logit divided by the temperature {temperature:.3f}: {calibration}.
Where pneumonia is rarer than that, the probability is too high. It is never shown without its
threshold.

Expected calibration error: {errors}.

### Adults

The network learned from small children. What rows above say of adults, of other hospitals and of
the literature is what to expect there, and no more. Films near the limit of what it knows, as many
of adults are, come with the warning: {warning}.

## When it gives no finding

Above an unfamiliarity of {unfamiliarity_limit}: {unfamiliarity_rule}.
From {warning_limit} on, an answer comes with a warning. Images without a finding:

{strange}

It is a distance from the training images. What looks like one of them is not noticed: another
disease, another patient's name on the film, a part that was cut away, an image that was altered on
purpose.

## Known failures and limits

{known_limits}

## The heatmap

It marks where the last feature map raised the logit of pneumonia (Grad-CAM, Selvaraju 2017),
{heatmap} places over the whole image. It is not an outline of a disease, not a measurement, and no
evidence that the network saw what a reader would see; it may mark a cue that is no disease, such as
a label or the edge of the film. Where the logit was not raised, it is empty.

{heatmap_scores}

## Learning curves

![learning curves](learning_curves.png)
"""

SPLITS_OF_A_FOLDER: Final = """\
Patients are read from the file names; a hash of the patient, with the key
`{key}`, sets about {share} of them aside for validation. The hash in the table
stands for exactly these pixels with these labels."""
SPLITS_OF_A_SNAPSHOT: Final = """\
A keyed hash of the patient sets some aside for validation and others for tests, for ever; imported
sets keep splits of their own. The hash in the table stands for exactly these pixels with these
labels.

It is snapshot {id} (`{digest}`) of the labels that were there. The training went on from {start}
and taught {what}. An epoch came to {site_images} images of this site {site_times_an_epoch:.1f}
times each, and to {base_images} imported ones, {base_share:.0%} of an epoch. What is usual, by
which strange images are told, {guard}.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The first column names its row; cells must not contain a line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def figure_text(figure: Mapping[str, float | None] | float | str | None) -> str:
    """`0.938 (0.913 to 0.961)`; a dash where there is no value."""
    if not isinstance(figure, Mapping):
        return _number(figure)
    if figure["value"] is None:
        return _number(None)
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _cell(cell: object) -> str:
    return str(cell).replace("|", "\\|")


METRICS: Final = {
    "pointing_game": "peak in a box (pointing game)",
    "mean_iou": "mean IoU",
    "energy_inside": "energy inside boxes",
}
REFERENCES: Final = {
    "centre_prior": "a spot in the middle of every film",
    "mean_heatmap": "the mean heatmap of the other films",
    "mean_boxes": "the mean of the other films' boxes",
    "own_boxes": "the film's own boxes, as coarse as a heatmap: the best there could be",
}
RANDOMISED: Final = {"layers": "without meaning", "correlation": "correlation", "empty": "empty"}


def heatmap_section(scores: Mapping[str, Any]) -> str:
    """Markdown. scores: as `heatmap_score.score_external` gives them; may be empty."""
    if not scores:
        return "It was not compared with readers' boxes."
    references = {name: words for name, words in REFERENCES.items() if name in scores}
    rows = [["the heatmap", *_cells(scores, METRICS)]]
    rows += [[words, *_cells(scores[name], METRICS)] for name, words in references.items()]
    gains = [f"{metric}_gain" for metric in METRICS]
    parts = [
        f"Against the boxes that readers drew on {scores['images']} films of adults, beside "
        "guesses that do not look at the film. Mean over films with its 95 % interval:",
        table(["", *METRICS.values()], rows),
        "How much more the heatmap scores, film by film. Where the interval holds 0, it is not "
        "known to be better than that guess:",
        table(
            ["than", *METRICS.values()],
            ([words, *_cells(scores[name], gains)] for name, words in references.items()),
        ),
    ]
    if "randomisation" in scores:
        parts += _randomisation(scores["randomisation"])
    return "\n\n".join(parts)


def _randomisation(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "With the weights of some layers shuffled, a heatmap should change (Adebayo 2018). How "
        "alike it stays, as a correlation over its places, and how many heatmaps are empty then:",
        table(
            list(RANDOMISED.values()),
            (
                [
                    row["layers"],
                    figure_text({**row, "value": row["correlation"]}),
                    f"{row['empty']:.0%}",
                ]
                for row in rows
            ),
        ),
    ]


def _cells(scores: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [figure_text(scores.get(name)) for name in names]


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
