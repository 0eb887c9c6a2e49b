"""`overread restore`"""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "name", metavar="TIME", help="Which backup; default: the newest.")
def restore(folder: Path, name: str | None) -> None:
    """Fill a new data folder and an empty database from a backup in FOLDER.

    OVERREAD_DATA and OVERREAD_DATABASE_URL say where to; SQLite and PostgreSQL may be exchanged.
    Nothing is restored unless everything is as it was saved. Cut off, the same command goes on.
    """
    from cli.restoring import counts, restore_backup
    from cli.settings import read_settings

    settings = read_settings()
    restored, manifest = restore_backup(settings, folder, name=name)
    click.echo(f"Restored {restored} to {settings.data_dir}: {counts(manifest)}")
    click.echo(
        f"Passwords and API tokens are as they were at {manifest.made_at}: those that were revoked "
        "since are valid again. Everybody logs in anew, and invitations are to be made anew. "
        "What was being worked on begins again."
    )
