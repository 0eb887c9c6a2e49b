"""`overread train`"""

from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.argument("directory", metavar="DIR", type=GivenPath())
@click.option(
    "--output",
    metavar="DIR",
    required=True,
    type=GivenPath(file_okay=False),
    help="The new model version's folder; must not exist.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="JSON or TOML with any of the training's settings, or a version's card.json.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=GivenPath(dir_okay=False),
    help="Keras file with the ImageNet weights to start from; without, they are downloaded.",
)
def train(directory: Path, output: Path, config_file: Path | None, weights: Path | None) -> None:
    """Train a network on DIR (train/NORMAL, train/PNEUMONIA), split by patient.

    DIR/test, where there is one, is only measured. An interrupted training goes on from its last
    epoch when the same command is given again.
    """
    from cli.training import train_folder

    folder = train_folder(directory, output=output, config_file=config_file, weights=weights)
    click.echo(folder)
