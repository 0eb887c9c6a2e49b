"""`overread backup`"""

from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.argument("folder", type=GivenPath(file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), help="Then delete all but the newest so many.")
@click.option("--check", is_flag=True, help="Read what is saved already; replace what is damaged.")
def backup(folder: Path, keep: int | None, check: bool) -> None:
    """Save database, files, secrets and model versions to FOLDER, while the service works on.

    Files that an earlier backup in FOLDER has saved are not copied again. FOLDER holds patients'
    images and the service's secrets: keep it as closed as the data folder.
    """
    from cli.backing_up import make_backup
    from cli.backup_pruning import prune
    from cli.restoring import counts
    from cli.settings import read_settings

    made = make_backup(read_settings(), folder, check=check)
    click.echo(f"Saved as {folder / 'backups' / made.name}: {counts(made.manifest)}")
    for number, what in (
        (made.manifest.missing, "files that rows need were not there; overread doctor names them"),
        (made.manifest.damaged, "files are not what their names say; they were saved as they are"),
        (made.mended, "saved files were damaged, and were saved anew"),
    ):
        if number:
            click.echo(f"warning: {number} {what}", err=True)
    for path in made.damaged_lists:
        click.echo(f"warning: {path}: damaged; that backup cannot be restored", err=True)
    if keep is not None:
        click.echo(prune(folder, keep=keep))
