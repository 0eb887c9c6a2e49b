"""`overread submit`"""

import sys
from pathlib import Path

import click


@click.command()
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--name", help="What to call the job; by default the first PATH's name.")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print the results.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def submit(paths: tuple[Path, ...], name: str | None, wait: bool, as_json: bool) -> None:
    """Send files, folders or zips to a running service.

    Where the same command was cut off before, it goes on from there. Exit code 0: all was sent
    (with --wait: every file was predicted); 1: some were refused.
    """
    from cli.client import connect
    from cli.settings import read_settings
    from cli.submission import submit_paths
    from cli.waiting import print_job, wait_and_print

    settings = read_settings()
    with connect(settings) as client:
        job, sent = submit_paths(client, paths, name=name, data_dir=settings.data_dir)
        for file, cause in sent.unreadable:
            click.echo(f"{file}: {cause}", err=True)
        if wait:
            all_predicted = wait_and_print(client, job["id"], as_json=as_json)
        else:
            print_job(client, job, as_json=as_json)
            all_predicted = True
    sys.exit(0 if all_predicted and not sent.unreadable else 1)
