"""`overread backup`"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from cli.errors import Failed, UsageProblem, one_line_errors
from cli.params import GivenPath
from cli.progress import stages
from cli.settings import read_settings
from models.operations.backup import make_backup, prune
from models.operations.backup_folder import BackupDamagedError, BackupRefusedError, Manifest
from models.session import why_away
from pipeline.text import plural

DAMAGED_NAMED = 10
COUNTED = ("job", "image", "prediction", "label", "model_version", "user")


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), help="Then delete all but the newest so many.")
@click.option("--check", is_flag=True, help="Read what was saved before; replace damaged files.")
def backup(folder: Path, keep: int | None, check: bool) -> None:
    """Save database, files, secrets and model versions to FOLDER, while the service works.

    Files that an earlier backup in FOLDER has saved are not copied again. FOLDER holds patients'
    images and the service's secrets: protect it like the data folder.

    Damaged files of the service are never saved: what an earlier backup has of them takes their
    place, or they are left out. Exit code 1: there were some.
    """
    outcome = "nothing was saved, run the same command again"
    with translated_errors(folder, outcome=outcome), stages() as report:
        made = make_backup(read_settings(), folder, report=report, check=check)
    click.echo(f"Saved as {folder / 'backups' / made.name}: {counts(made.manifest)}")
    for number, what in (
        (made.manifest.missing, "that rows need did not exist; overread doctor names the rows"),
        (made.replaced, "of earlier backups were damaged; replaced"),
    ):
        if number:
            click.echo(f"warning: {plural(number, 'file')} {what}", err=True)
    for one in made.damaged[:DAMAGED_NAMED]:
        click.echo(f"warning: {one}: damaged; see: overread verify", err=True)
    for path in made.damaged_lists:
        click.echo(f"warning: {path}: damaged; that backup cannot be restored", err=True)
    if keep is not None:
        with translated_errors(folder, outcome="not all old backups were deleted"):
            pruned = prune(folder, keep=keep)
        blobs = pruned.kept_all and f"no files: {pruned.kept_all}"
        blobs = blobs or f"{plural(pruned.blobs, 'file')} that only they had"
        click.echo(f"Deleted {plural(pruned.backups, 'older backup')} and {blobs}")
    if made.damaged:
        kept, lost = len(made.damaged) - made.manifest.damaged, made.manifest.damaged
        raise Failed(
            f"{plural(len(made.damaged), 'file')} of the service damaged: {kept:,} kept from an "
            f"earlier backup, {lost:,} left out"
        )


@contextmanager
def translated_errors(place: Path, *, outcome: str) -> Iterator[None]:
    try:
        with one_line_errors(place, outcome=outcome):
            yield
    except BackupRefusedError as error:
        raise UsageProblem(str(error)) from None
    except BackupDamagedError as error:
        raise Failed(f"{error}; nothing was restored") from None
    except DBAPIError as error:
        raise Failed(f"the database: {why_away(error)}; {outcome}") from None


def counts(manifest: Manifest) -> str:
    rows = [plural(manifest.rows.get(name, 0), name.replace("_", " ")) for name in COUNTED]
    files = plural(manifest.files, "file")
    return f"{', '.join(rows)}; {files}, {manifest.bytes / 2**20:.1f} MiB"
