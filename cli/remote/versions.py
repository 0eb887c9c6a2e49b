"""`overread versions`"""

from collections.abc import Mapping
from typing import Any

import click

from cli.api.client import connect
from cli.output import moment, print_table
from pipeline.text import readable


@click.command()
def versions() -> None:
    """List model versions, newest first, and the history of production versions."""
    from rich.table import Column

    with connect() as client:
        found = client.get("model-versions")
    identifier = Column("version", no_wrap=True)
    print_table(
        (identifier, "state", "created", "trained on", "validation AUROC"),
        (
            (one["name"], one["status"], moment(one["created_at"]), *_card(one["card"]))
            for one in found["model_versions"]
        ),
    )
    for period in found["history"]:
        until = moment(period["until"]) if period["until"] else "now"
        by = f" by {period['by']}" if period["by"] else ""
        move = f"{period['version']}, {period['move']}{by}: {period['reason']}"
        click.echo(readable(f"{moment(period['since'])} to {until}: {move}"))


def _card(card: Mapping[str, Any]) -> tuple[str, str]:
    """Number of training images, and AUROC; older cards may lack either."""
    images = ((card.get("data") or {}).get("train") or {}).get("images")
    auroc = ((card.get("metrics") or {}).get("validation") or {}).get("auroc")
    value = auroc.get("value") if isinstance(auroc, Mapping) else auroc
    shown = f"{value:.3f}" if isinstance(value, float) else "-"
    return f"{images} images" if images else "-", shown
