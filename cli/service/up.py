"""`overread up`"""

import click


@click.command()
def up() -> None:
    """Start the service on this machine and serve until Ctrl-C; terminals get a login link.

    OVERREAD_PORT sets the port (0: any free one), OVERREAD_DATA the folder of all data.
    """
    from cli.lockfile import AlreadyRunningError
    from cli.service.start import print_already_running, print_running, start_service
    from cli.settings import read_settings

    settings = read_settings()
    try:
        with start_service(settings) as (supervisor, service):
            print_running(settings, service.url)
            supervisor.run()
    except AlreadyRunningError:
        print_already_running(settings)
