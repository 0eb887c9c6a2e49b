"""`overread promote`"""

from urllib.parse import quote

import click

from cli.api.client import connect
from cli.api.errors import not_found


@click.command()
@click.argument("version", metavar="VERSION")
@click.option("--reason", default="", help="Reason, kept in the history.")
@click.option("--despite-refusal", is_flag=True, help="Promote even if the gate refused.")
def promote(version: str, reason: str, despite_refusal: bool) -> None:
    """Promote VERSION to production. Workers use it from their next images on.

    `overread roll-back` undoes it.
    """
    with connect() as client:
        live = client.get("model-versions")["live"]
        if live == version:
            click.echo(f"{version} is in production already")
            return
        body = {"live": live, "reason": reason, "despite_refusal": despite_refusal}
        with not_found(f"model version {version}"):
            client.post(f"model-versions/{quote(version, safe='')}/promote", body)
    click.echo(f"{version} is in production" + (f" instead of {live}" if live else ""))
