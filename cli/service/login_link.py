"""`overread login-link`"""

import click


@click.command("login-link")
def login_link() -> None:
    """Print a one-time login link to the portal, valid for fifteen minutes."""
    from cli.api.client import no_service
    from cli.lockfile import running_service
    from cli.service.start import login_link as create_link
    from cli.settings import read_settings

    settings = read_settings()
    service = running_service(settings.data_dir)
    # Containers leave no service file; OVERREAD_URL is the portal's address there.
    url = settings.url.rstrip("/") or (service.url if service else "")
    if not url:
        raise no_service(settings)
    click.echo(create_link(settings, url))
