"""`overread tokens`"""

import click

from cli.api.client import connect
from cli.api.errors import not_found
from cli.output import moment, print_table
from cli.remote.users import ROLES


@click.group(invoke_without_command=True)
@click.pass_context
def tokens(context: click.Context) -> None:
    """List your API tokens.

    \b
    overread tokens                                      list tokens
    overread tokens add "night upload" --role operator   create a token; it is shown once
    overread tokens revoke 3                             revoke a token
    """
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        found = client.get("tokens")["tokens"]
    rows = []
    for token in found:
        expires = moment(token["expires_at"]) if token["expires_at"] else "never"
        created = moment(token["created_at"])
        rows.append((token["id"], token["name"] or "-", token["role"], created, expires))
    print_table(("id", "name", "role", "created", "expires"), rows)


@tokens.command()
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="Role of the token; at most your own.")
@click.option(
    "--days", type=click.IntRange(1, 365), default=90, show_default=True, help="Days of validity."
)
def add(name: str, role: str, days: int) -> None:
    """Create a token and print it, once. NAME says what it is for."""
    with connect() as client:
        made = client.post("tokens", {"name": name, "role": role, "days": days})
    # The token alone goes to stdout, for scripts.
    click.echo(f"Valid until {moment(made['expires_at'])}; it is not shown again:", err=True)
    click.echo(made["token"])


@tokens.command()
@click.argument("token_id", type=int)
def revoke(token_id: int) -> None:
    """Revoke a token."""
    with connect() as client, not_found(f"token {token_id}"):
        client.post(f"tokens/{token_id}/revoke")
    click.echo(f"token {token_id} revoked")
