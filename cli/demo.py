"""`overread demo`"""

from pathlib import Path

import click


@click.command()
@click.option(
    "--studies",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Read this folder instead of generated radiographs.",
)
def demo(studies: Path | None) -> None:
    """Start everything, read some radiographs, show the results, and keep serving.

    The radiographs are generated and show no one.
    """
    from cli.demonstration import demonstrate

    demonstrate(studies)
