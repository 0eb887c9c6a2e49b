"""`overread up`"""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cli.settings import CommandSettings


@click.command()
def up() -> None:
    """Start the service on this machine, print a login link, and serve until Ctrl-C.

    OVERREAD_PORT sets the port (0: any free one), OVERREAD_DATA the folder of all data.
    """
    from cli.lockfile import AlreadyRunningError
    from cli.service.start import start_service
    from cli.settings import read_settings

    settings = read_settings()
    try:
        with start_service(settings) as (supervisor, service):
            print_running(settings, service.url)
            supervisor.run()
    except AlreadyRunningError:
        print_already_running(settings)


def print_running(settings: "CommandSettings", url: str) -> None:
    from cli.service.start import login_link

    click.echo(f"\nOverread is running at {url}. One-time login link:\n")
    click.echo(f"  {login_link(settings, url)}\n\nResearch use only. Press Ctrl-C to stop.\n")


def print_already_running(settings: "CommandSettings") -> None:
    from cli.service.start import login_link, wait_for_running

    url = wait_for_running(settings).url
    click.echo(f"Already running at {url}. One-time login link:\n\n  {login_link(settings, url)}\n")
