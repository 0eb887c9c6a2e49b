"""`overread migrate`"""

import click


@click.command()
def migrate() -> None:
    """Bring data folder and database to this version of the program; safe to repeat.

    `overread up` does it by itself. Where containers run, this runs once before them.
    """
    from cli.settings import read_settings
    from models.operations.upgrade import upgrade

    upgrade(read_settings())
