"""`overread purge`"""

import re
from typing import Any

import click


@click.command()
@click.option("--older-than", "age", metavar="DAYS", help="Jobs that ended so long ago, e.g. 90d.")
@click.option("--job", "job_id", metavar="ID", help="This job.")
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would go.")
def purge(age: str | None, job_id: str | None, yes: bool) -> None:
    """Delete jobs that have ended, with their files, answers and labels.

    What a snapshot holds stays, and so does what another job or an imported set has, too. A job
    that nobody closed has not ended, however old it is: cancel it first. Backups keep what they
    hold. Interrupted, the same command goes on.
    """
    from cli.api.client import connect
    from cli.api.errors import NotFoundError
    from cli.errors import UsageProblem
    from cli.settings import read_settings

    which = _which(age, job_id)
    with connect(read_settings()) as client:
        try:
            plan = client.purge(which | {"dry_run": True})
        except NotFoundError:
            raise UsageProblem(f"there is no job {job_id}") from None
        _print(plan)
        if yes and plan["counts"]["jobs"]:
            _delete(client, which, plan["counts"])
    if plan["counts"]["jobs"] and not yes:
        click.echo("Nothing was deleted. To delete it, say --yes.")


def _which(age: str | None, job_id: str | None) -> dict[str, Any]:
    from cli.errors import UsageProblem

    if (age is None) == (job_id is None):
        raise UsageProblem("say either --older-than or --job")
    if age is None:
        return {"job_id": job_id}
    days = re.fullmatch(r"(\d{1,5})d?", age)
    if days is None:
        raise UsageProblem(f"--older-than {age}: expected a number of days, such as 90d")
    return {"older_than_days": int(days[1])}


def _print(plan: dict[str, Any]) -> None:
    from rich.table import Column, Table

    from cli.output import ROWS, cells, console

    table = Table(Column("job", no_wrap=True, min_width=32), "name", "of", "goes", "stays", "why")
    for job in plan["jobs"][:ROWS]:
        told = (job[name] for name in ("goes", "stays", "why"))
        table.add_row(*cells(job["id"], job["name"], job["created_at"][:10], *told))
    if plan["jobs"]:
        console().print(table)
    if len(plan["jobs"]) > ROWS:
        console().print("... and more")
    click.echo(_sentence(plan["counts"]))
    if unended := plan["counts"]["unended"]:
        click.echo(
            f"{unended} of the jobs have not ended and stay, however old they are: "
            "overread jobs ID --cancel ends one, and overread purge --job ID then deletes it."
        )


def _sentence(counts: dict[str, Any]) -> str:
    if not counts["jobs"]:
        return "There is nothing to delete."
    rows = ("predictions", "labels", "fingerprints", "uploads")
    further = ", ".join(f"{counts[name]} {name}" for name in rows)
    shared = f" {counts['shared']} contents stay for other jobs." if counts["shared"] else ""
    return (
        f"{counts['images']} images of {counts['jobs']} jobs go, with {further}, and "
        f"{counts['files']} files of {counts['bytes'] / 2**20:.1f} MiB.{shared}"
    )


def _delete(client: Any, which: dict[str, Any], counts: dict[str, Any]) -> None:
    from cli.errors import Interrupted
    from cli.progress import progress

    purged = 0
    try:
        with progress("Deleting", total=counts["images"]) as shown:
            done = False
            while not done:
                answer = client.purge(which | {"dry_run": False})
                purged, done = purged + answer["purged"], answer["done"]
                shown.show(purged)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted after {purged} images; the same goes on") from None
    click.echo(f"Deleted {purged} images. Backups keep what they hold.")
