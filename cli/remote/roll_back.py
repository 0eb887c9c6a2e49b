"""`overread roll-back`"""

import click

from cli.api.client import connect
from cli.errors import Failed


@click.command("roll-back")
@click.option("--reason", default="", help="Reason, kept in the history.")
def roll_back(reason: str) -> None:
    """Return to the previous production version."""
    with connect() as client:
        live = client.get("model-versions")["live"]
        if live is None:
            raise Failed("no model version is in production")
        # Naming the version makes a repeated request fail rather than roll back twice.
        moved = client.post("roll-back", {"live": live, "reason": reason})
    click.echo(f"{moved['live']} is in production again instead of {live}")
