"""`overread promote`"""

import click


@click.command()
@click.argument("version", metavar="VERSION")
@click.option("--reason", default="", help="Kept in the history.")
@click.option("--despite-refusal", is_flag=True, help="Live whatever the gate says.")
def promote(version: str, reason: str, despite_refusal: bool) -> None:
    """Make VERSION live. Workers take it at their next images; `overread roll-back` undoes it."""
    from cli.api.client import connect
    from cli.api.errors import NotFoundError
    from cli.errors import UsageProblem
    from cli.settings import read_settings

    with connect(read_settings()) as client:
        live = client.model_versions()["live"]
        if live == version:
            click.echo(f"{version} is live already")
            return
        try:
            client.promote(version, live=live, reason=reason, despite_refusal=despite_refusal)
        except NotFoundError:
            raise UsageProblem(f"there is no model version {version}") from None
    click.echo(f"{version} is live" + (f" instead of {live}" if live else ""))
