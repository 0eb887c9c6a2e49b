"""`overread versions`"""

import click


@click.command()
def versions() -> None:
    """List model versions, newest first: which is live, and what was live when."""
    from cli.client import connect
    from cli.settings import read_settings
    from cli.version_table import VersionTable, history_lines

    with connect(read_settings()) as client:
        found = client.model_versions()
    table = VersionTable()
    for version in found["model_versions"]:
        table.add(version)
    table.print()
    for line in history_lines(found["history"]):
        click.echo(line)
