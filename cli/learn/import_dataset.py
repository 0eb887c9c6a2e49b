"""`overread import-dataset`"""

import sys
from pathlib import Path

import click

from cli.params import GivenPath


@click.command("import-dataset")
@click.argument("directory", metavar="DIR", type=GivenPath())
@click.option("--name", help="What the set is called; default: the folder's name.")
def import_dataset(directory: Path, name: str | None) -> None:
    """Import labelled images, for training and for comparing networks.

    DIR holds NORMAL/ and PNEUMONIA/, or train/, val/ and test/ that hold them; its own splits are
    kept, and what it lacks is set aside from train by patients. Leaks between the splits are
    looked for and reported. The same command again adds what is new.

    Exit code 0: every file was read; 1: some were refused.
    """
    from cli.learn.importing import import_dataset as do_import
    from cli.settings import read_settings

    all_read = do_import(directory, name=name, settings=read_settings())
    sys.exit(0 if all_read else 1)
