"""`overread purge`"""

import re
from typing import Any

import click

from cli.api.client import Client, connect
from cli.api.errors import not_found
from cli.errors import Interrupted, UsageProblem
from cli.progress import progress
from pipeline.text import plural


@click.command()
@click.option("--older-than", "age", metavar="DAYS", help="Jobs that ended so long ago, e.g. 90d.")
@click.option("--job", "job_id", metavar="ID", help="This job.")
@click.option("--yes", is_flag=True, help="Delete; without it, only count.")
def purge(age: str | None, job_id: str | None, yes: bool) -> None:
    """Delete jobs that have ended, with their files, predictions and labels.

    Images that a snapshot holds are kept, and so are files that another job or an imported set
    shares. A job that was not closed has not ended, whatever its age: cancel it first. Backups keep
    what they hold. After an interruption, run the same command again.
    """
    which = _which(age, job_id)
    with connect() as client, not_found(f"job {job_id}"):
        counts = client.post("purges", which | {"dry_run": True})["counts"]
        _print(counts)
        if counts["jobs"] and yes:
            _delete(client, which, counts["images"])
        elif counts["jobs"]:
            click.echo("Nothing was deleted. Add --yes to delete.")


def _which(age: str | None, job_id: str | None) -> dict[str, Any]:
    if (age is None) == (job_id is None):
        raise UsageProblem("expected either --older-than or --job")
    if age is None:
        return {"job_id": job_id}
    days = re.fullmatch(r"(\d{1,5})d?", age)
    if days is None:
        raise UsageProblem(f"--older-than {age}: expected a number of days, such as 90d")
    return {"older_than_days": int(days[1])}


def _print(counts: dict[str, Any]) -> None:
    if counts["jobs"]:
        parts = (plural(counts[f"{name}s"], name) for name in ("image", "prediction", "label"))
        click.echo(f"To delete: {', '.join(parts)} of {plural(counts['jobs'], 'job')}, and files.")
    else:
        click.echo("Nothing to delete.")
    if counts["kept"]:
        click.echo(
            f"Kept: {plural(counts['kept'], 'image')} that a snapshot holds or may soon hold."
        )
    if counts["unended"]:
        click.echo(
            f"Not ended, and kept: {plural(counts['unended'], 'job')}. To delete one, cancel it "
            "with overread jobs ID --cancel, then run overread purge --job ID."
        )


def _delete(client: Client, which: dict[str, Any], images: int) -> None:
    purged, done = 0, False
    try:
        with progress("Deleting", total=images) as shown:
            while not done:
                answer = client.post("purges", which | {"dry_run": False})
                purged, done = purged + answer["purged"], answer["done"]
                shown.show(purged)
    except KeyboardInterrupt:
        deleted = plural(purged, "image")
        raise Interrupted(f"interrupted after {deleted}; run the same command again") from None
    click.echo(f"Deleted {plural(purged, 'image')}. Backups keep what they hold.")
