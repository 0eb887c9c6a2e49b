"""`overread jobs`"""

import click


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
def jobs(job_id: str | None) -> None:
    """List jobs, newest first, or show one."""
    from cli.client import NotFoundError, connect
    from cli.fatal import UsageProblem
    from cli.settings import read_settings
    from cli.tables import JobTable

    table = JobTable()
    with connect(read_settings()) as client:
        try:
            listed = [client.job(job_id)] if job_id else client.jobs()["jobs"]
        except NotFoundError:
            raise UsageProblem(f"there is no job {job_id}") from None
    for job in listed:
        table.add(job)
    table.print()
