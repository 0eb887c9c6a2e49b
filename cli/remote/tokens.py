"""`overread tokens`"""

import click

from cli.remote.users import ROLES


@click.group(invoke_without_command=True)
@click.pass_context
def tokens(context: click.Context) -> None:
    """List the API tokens of the user that the command line comes in as.

    \b
    overread tokens                                      list them
    overread tokens add "night upload" --role operator   a new one; it is shown once
    overread tokens revoke 3                             it no longer works
    """
    if context.invoked_subcommand is None:
        from cli.remote.people import print_tokens

        print_tokens()


@tokens.command()
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="It may do what is for this role.")
@click.option(
    "--days", type=click.IntRange(1, 365), default=90, show_default=True, help="Then it expires."
)
def add(name: str, role: str, days: int) -> None:
    """Make a token and print it, once. NAME says what it is for."""
    from cli.remote.people import make_token

    make_token(name, role=role, days=days)


@tokens.command()
@click.argument("token_id", type=int)
def revoke(token_id: int) -> None:
    """It no longer works, from now on."""
    from cli.remote.people import revoke_token

    revoke_token(token_id)
