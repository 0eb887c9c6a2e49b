"""`overread roll-back`"""

import click


@click.command("roll-back")
@click.option("--reason", default="", help="Kept in the history.")
def roll_back(reason: str) -> None:
    """Go back one step, to the version that was live before."""
    from cli.api.client import connect
    from cli.errors import Failed
    from cli.settings import read_settings

    with connect(read_settings()) as client:
        live = client.model_versions()["live"]
        if live is None:
            raise Failed("no model version is live")
        moved = client.roll_back(live=live, reason=reason)
    click.echo(f"{moved['live']} is live again instead of {live}")
