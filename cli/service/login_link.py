"""`overread login-link`"""

import click


@click.command("login-link")
def login_link() -> None:
    """Print a link to the portal that logs in once, within fifteen minutes."""
    from cli.api.client import no_service
    from cli.lockfile import running_service
    from cli.service.start import login_link as make_link
    from cli.settings import read_settings

    settings = read_settings()
    service = running_service(settings.data_dir)
    # In containers nothing leaves a service file; OVERREAD_URL says where the portal answers.
    url = settings.url.rstrip("/") or (service.url if service else "")
    if not url:
        raise no_service(settings)
    click.echo(make_link(settings, url))
