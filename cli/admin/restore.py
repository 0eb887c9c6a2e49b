"""`overread restore`"""

from pathlib import Path

import click

from cli.admin.backup import counts, translated_errors
from cli.errors import UsageProblem
from cli.lockfile import AlreadyRunningError, hold_data_folder
from cli.params import GivenPath
from cli.progress import stages
from cli.settings import read_settings
from models.operations.restore import restore_backup
from pipeline.text import plural


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--from", "name", metavar="TIME", help="Which backup; default: the newest.")
def restore(folder: Path, name: str | None) -> None:
    """Fill a new data folder and an empty database from a backup in FOLDER.

    OVERREAD_DATA and OVERREAD_DATABASE_URL name them; a backup of SQLite can be restored to
    PostgreSQL, and the other way round. All checksums are compared first: a damaged backup is
    refused. After an interruption, run the same command again.
    """
    settings = read_settings()
    data_dir = settings.data_dir
    outcome = "not restored yet, run the same command again"
    try:
        with (
            translated_errors(data_dir, outcome=outcome),
            hold_data_folder(data_dir),
            stages() as report,
        ):
            name, manifest = restore_backup(settings, folder, name=name, report=report)
    except AlreadyRunningError:
        raise UsageProblem(f"a service is running on {data_dir}: stop it first") from None
    if manifest.damaged:
        files = plural(manifest.damaged, "file")
        click.echo(
            f"warning: {files} left out, damaged when the backup was made; overread doctor names "
            "what rows lack",
            err=True,
        )
    click.echo(
        f"Restored {name} to {data_dir}: {counts(manifest)}\n"
        f"Passwords and API tokens are as they were at {manifest.made_at}: revoke again what was "
        "revoked since. All users must sign in again, and unused invitations are void. Unfinished "
        "work starts again."
    )
