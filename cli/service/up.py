"""`overread up`"""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cli.settings import CommandSettings


@click.command()
def up() -> None:
    """Start the service on this machine, print a login link, and serve until Ctrl-C.

    OVERREAD_PORT chooses the port (0: a free one), OVERREAD_DATA the folder for everything.
    """
    from cli.lockfile import AlreadyRunningError
    from cli.service.start import StoppedError, start_service
    from cli.settings import read_settings

    settings = read_settings()
    try:
        with start_service(settings) as (supervisor, service):
            say_where(settings, service.url)
            supervisor.run()
    except AlreadyRunningError:
        say_already_running(settings)
    except StoppedError:
        pass


def say_where(settings: "CommandSettings", url: str) -> None:
    from cli.service.start import login_link

    click.echo(
        f"\nOverread answers at {url}. Log in, once, with:\n\n  {login_link(settings, url)}\n"
    )
    click.echo("Research use only. Ctrl-C stops it.\n")


def say_already_running(settings: "CommandSettings") -> None:
    from cli.service.start import login_link, wait_for_running

    url = wait_for_running(settings).url
    click.echo(f"Already running at {url}. Log in, once, with:\n\n  {login_link(settings, url)}\n")
