"""`overread restore`"""

from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--from", "name", metavar="TIME", help="Which backup; default: the newest.")
@click.option(
    "--without-damaged", is_flag=True, help="Leave out files that are damaged or missing."
)
def restore(folder: Path, name: str | None, without_damaged: bool) -> None:
    """Fill a new data folder and an empty database from a backup in FOLDER.

    OVERREAD_DATA and OVERREAD_DATABASE_URL say where to; SQLite and PostgreSQL may be exchanged.
    Nothing is restored unless everything is as it was saved, or damaged files may be left out. Cut
    off, the same command goes on.
    """
    from cli.restoring import counts, restore_backup
    from cli.settings import read_settings

    settings = read_settings()
    done = restore_backup(settings, folder, name=name, without_damaged=without_damaged)
    click.echo(f"Restored {done.name} to {settings.data_dir}: {counts(done.manifest)}")
    if done.left_out:
        click.echo(
            f"warning: {len(done.left_out)} files were damaged or missing and did not come back, "
            f"the first is {done.left_out[0].path}; overread doctor names whose they are",
            err=True,
        )
    click.echo(
        f"Passwords and API tokens are as they were at {done.manifest.made_at}: what was revoked "
        "since is valid again. Everybody logs in anew, and invitations that were not used yet are "
        "void. What was being worked on begins again."
    )
