"""`overread migrate`"""

import click


@click.command()
def migrate() -> None:
    """Upgrade data folder and database to this release; safe to repeat.

    `overread up` does so itself. With containers, run it once before they start.
    """
    from cli.settings import read_settings
    from models.operations.upgrade import upgrade

    upgrade(read_settings())
