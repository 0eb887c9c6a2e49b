"""`overread versions`"""

from collections.abc import Mapping
from typing import Any

import click


@click.command()
def versions() -> None:
    """List model versions, newest first, and the history of production versions."""
    from rich.table import Column, Table

    from cli.api.client import connect
    from cli.output import cells, console, moment
    from pipeline.text import readable

    with connect() as client:
        found = client.get("model-versions")
    identifier = Column("version", no_wrap=True)
    table = Table(identifier, "state", "created", "trained on", "validation AUROC")
    for version in found["model_versions"]:
        created = moment(version["created_at"])
        table.add_row(*cells(version["name"], version["status"], created, *_card(version["card"])))
    console().print(table)
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
