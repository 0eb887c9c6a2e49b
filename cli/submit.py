"""`overread submit`"""

import sys
from pathlib import Path

import click

from cli.given_path import GivenPath


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=GivenPath())
@click.option("--name", help="What to call the job; by default the first PATH's name.")
@click.option("--wait", is_flag=True, help="Follow the job to its end and print the results.")
@click.option("--json", "--jsonl", "as_json", is_flag=True, help="Print JSON lines.")
def submit(paths: tuple[Path, ...], name: str | None, wait: bool, as_json: bool) -> None:
    """Send files, folders or zips to a running service.

    Everything is declared before it is sent, so that nothing can be missing unnoticed. Where the
    same command was cut off before, it goes on from there, in the middle of a large file if need
    be. A file that cannot be read, or changes meanwhile, is named; the others are sent.

    Exit code 0: all was sent (with --wait: every file was predicted); 1: some was not.
    """
    from cli.client import connect
    from cli.fatal import Interrupted
    from cli.job_table import print_jobs
    from cli.settings import read_settings
    from cli.submission import NothingSent, submit_paths
    from cli.submissions import Submission
    from cli.waiting import wait_and_print

    settings = read_settings()
    submission = Submission(settings.data_dir, service=settings.url, paths=paths)
    with connect(settings) as client:
        try:
            sent = submit_paths(client, paths, name=name, submission=submission)
        except KeyboardInterrupt:
            raise Interrupted("stopped; the same command goes on from there") from None
        except NothingSent as failure:
            _name(failure.unsent)
            raise
        _name(sent.unsent)
        click.echo(sent.in_words(), err=True)
        if wait:
            all_predicted = wait_and_print(client, sent.job["id"], as_json=as_json)
        else:
            print_jobs([sent.job], as_json=as_json, url=client.url)
            if not as_json:
                click.echo(f"{client.url}/jobs/{sent.job['id']}")
            all_predicted = True
    sys.exit(0 if all_predicted and not sent.unsent else 1)


def _name(unsent: list[tuple[str, str]]) -> None:
    from pipeline.text import readable

    for file, cause in unsent:
        click.echo(readable(f"{file}: {cause}"), err=True)
