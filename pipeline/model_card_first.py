"""MODEL_CARD.md of cards of format 1, as long as such a version ships."""

from collections.abc import Mapping
from typing import Any

_TEMPLATE = """\
# Model card: {model_version}

Generated from `card.json`; change that, not this.

**Research use only.** Not a medical device, not for diagnosis, not for deciding treatment.

## What it is

{architecture}. It reads one frontal chest radiograph ({side} x {side}, 8 bit grey, squashed to a
square) and gives the probability of pneumonia, a {heatmap} Grad-CAM heatmap of that logit, and
how unlike its training images the radiograph is. Made {created_at} (code {git_commit}).

## What it learned from

{population}

| | images | patients | pneumonia images |
|---|---|---|---|
{data}

Training and validation share no patient; patients are read from the file names.

## How good it is

At the threshold {threshold:.3f}: {threshold_rule}. Probabilities: {calibration}
(temperature {temperature:.3f}).

| | images | patients | AUROC (95 % interval) | accuracy | sensitivity | specificity |
|---|---|---|---|---|---|---|
{metrics}

The interval is a bootstrap over patients. Temperature and threshold were chosen on the
validation patients, so only the other rows, where there are any, are untouched by choice.

## When it gives no finding

Above an unfamiliarity of {unfamiliarity_limit} ({unfamiliarity_rule}).
{strange}
## Known limits

{known_limits}

## Learning curves

![learning curves](learning_curves.png)
"""


def render_first_model_card(card: Mapping[str, Any]) -> str:
    """Markdown."""
    rows, columns = card["heatmap"]
    values = dict(card)
    values |= {
        "side": card["network_input"][0],
        "heatmap": f"{rows} x {columns}",
        "git_commit": (card["git_commit"] or "of no checkout")[:12],
        "population": card["population"] or "Not stated.",
        "data": "\n".join(_data_row(*item) for item in card["data"].items()),
        "metrics": "\n".join(_metrics_row(*item) for item in card["metrics"].items()),
        "strange": _strange(card["beyond_unfamiliarity_limit"]),
        "known_limits": "\n".join(f"- {limit}" for limit in card["known_limits"]) or "Not stated.",
    }
    return _TEMPLATE.format(**values)


def _data_row(name: str, data: Mapping[str, Any]) -> str:
    return f"| {name} | {data['images']} | {data['patients']} | {data['pneumonia_images']} |"


def _metrics_row(name: str, metrics: Mapping[str, Any]) -> str:
    interval = ""
    if metrics["auroc_low"] is not None:
        interval = f" ({metrics['auroc_low']:.3f} to {metrics['auroc_high']:.3f})"
    return (
        f"| {name} | {metrics['images']} | {metrics['patients']} "
        f"| {metrics['auroc']:.4f}{interval} | {metrics['accuracy']:.3f} "
        f"| {metrics['sensitivity']:.3f} | {metrics['specificity']:.3f} |"
    )


def _strange(shares: Mapping[str, float]) -> str:
    return "".join(f"Of {name}, {share:.1%} lie beyond it.\n" for name, share in shares.items())
