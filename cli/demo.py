"""`overread demo`"""

from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.option(
    "--studies",
    metavar="DIR",
    type=GivenPath(),
    help="Read this folder instead of generated radiographs.",
)
def demo(studies: Path | None) -> None:
    """Start everything, read some radiographs, show the results, and keep serving.

    The radiographs are generated and show no one.
    """
    from cli.demonstration import demonstrate

    demonstrate(studies)
