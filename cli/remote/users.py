"""`overread users`"""

import click

ROLES = click.Choice(["viewer", "reader", "operator", "admin"])


@click.group(invoke_without_command=True)
@click.pass_context
def users(context: click.Context) -> None:
    """List who may come in, and as what; for admins.

    \b
    overread users                          list them
    overread users add olga --role reader   a new one, and a link to choose a password by
    overread users link olga                a new link, when a password is forgotten
    overread users role olga operator       another role
    overread users deactivate olga          out at once, everywhere; activate lets in again
    """
    if context.invoked_subcommand is None:
        from cli.remote.people import print_users

        print_users()


@users.command()
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="What they may do.")
def add(name: str, role: str) -> None:
    """Print a link to hand over: by it NAME chooses a password, once, within three days."""
    from cli.remote.people import add_user

    add_user(name, role=role)


@users.command()
@click.argument("name")
def link(name: str) -> None:
    """Print a new link by which NAME chooses a password; earlier ones no longer work."""
    from cli.remote.people import print_link

    print_link(name)


@users.command()
@click.argument("name")
@click.argument("role", type=ROLES)
def role(name: str, role: str) -> None:
    """Give NAME another role. NAME has to log in again."""
    from cli.remote.people import change_user

    change_user(name, role=role)


@users.command()
@click.argument("name")
def deactivate(name: str) -> None:
    """End every session and token of NAME. What NAME did stays written down."""
    from cli.remote.people import change_user

    change_user(name, is_active=False)


@users.command()
@click.argument("name")
def activate(name: str) -> None:
    """Let NAME in again."""
    from cli.remote.people import change_user

    change_user(name, is_active=True)
