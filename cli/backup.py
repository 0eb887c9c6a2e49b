"""`overread backup`"""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), help="Then delete all but the newest so many.")
def backup(folder: Path, keep: int | None) -> None:
    """Save database, files, secrets and model versions to FOLDER, while the service works on.

    Files that an earlier backup in FOLDER has saved are not copied again. FOLDER holds patients'
    images and the service's secrets: keep it as closed as the data folder.
    """
    from cli.backing_up import make_backup
    from cli.backup_pruning import prune
    from cli.restoring import counts
    from cli.settings import read_settings

    name, manifest = make_backup(read_settings(), folder)
    click.echo(f"Saved as {folder / 'backups' / name}: {counts(manifest)}")
    for number, what in (
        (manifest.missing, "files that rows need were not there; overread doctor names them"),
        (manifest.damaged, "files are not what their names say; they were saved as they are"),
    ):
        if number:
            click.echo(f"warning: {number} {what}", err=True)
    if keep is not None:
        click.echo(prune(folder, keep=keep))
