"""`overread versions`

Model versions and what was live when, for people.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from cli.output import cells, console, moment
from pipeline.text import readable


@click.command()
def versions() -> None:
    """List model versions, newest first: which is live, and what was live when."""
    from cli.api.client import connect
    from cli.settings import read_settings

    with connect(read_settings()) as client:
        found = client.model_versions()
    table = VersionTable()
    for version in found["model_versions"]:
        table.add(version)
    table.print()
    for line in history_lines(found["history"]):
        click.echo(line)


class VersionTable:
    def __init__(self) -> None:
        from rich.table import Column, Table

        identifier = Column("version", no_wrap=True)
        self._table = Table(identifier, "state", "made", "learned from", "validation AUROC")

    def add(self, version: Mapping[str, Any]) -> None:
        self._table.add_row(*cells(*_told(version)))

    def print(self) -> None:
        console().print(self._table)


def history_lines(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Newest first, each with who and why."""
    for period in history:
        until = moment(period["until"]) if period["until"] else "now"
        by = f" by {period['by']}" if period["by"] else ""
        times = f"{moment(period['since'])} to {until}"
        yield readable(f"{times}: {period['version']}, {period['move']}{by}: {period['reason']}")


def _told(version: Mapping[str, Any]) -> tuple[str, ...]:
    card = version["card"]
    images = ((card.get("data") or {}).get("train") or {}).get("images")
    auroc = ((card.get("metrics") or {}).get("validation") or {}).get("auroc")
    value = auroc.get("value") if isinstance(auroc, Mapping) else auroc
    return (
        version["name"],
        version["status"],
        moment(version["created_at"]),
        f"{images} images" if images else "-",
        f"{value:.3f}" if isinstance(value, float) else "-",
    )
