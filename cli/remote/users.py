"""`overread users`"""

from typing import Any
from urllib.parse import urljoin

import click

from cli.api.client import Client, connect
from cli.errors import UsageProblem
from cli.output import moment, print_table

ROLES = click.Choice(["viewer", "reader", "operator", "admin"])


@click.group(invoke_without_command=True)
@click.pass_context
def users(context: click.Context) -> None:
    """List users and their roles; for admins.

    \b
    overread users                          list users
    overread users add olga --role reader   add a user; prints a link for setting a password
    overread users link olga                print a new link, e.g. for a forgotten password
    overread users role olga operator       change the role
    overread users deactivate olga          end all sessions and tokens; undo with activate
    overread users remove-second-factor olga    e.g. if their phone is lost
    """
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        found = client.get("users")["users"]
    print_table(
        ("name", "role", "signs in with", "created"),
        ((u["name"], u["role"], _sign_in(u), moment(u["created_at"])) for u in found),
    )


@users.command()
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="Role of the user.")
def add(name: str, role: str) -> None:
    """Add a user and print a one-time link for setting a password, valid for three days."""
    with connect() as client:
        _print_link(client, client.post("users", {"name": name, "role": role}))


@users.command()
@click.argument("name")
def link(name: str) -> None:
    """Print a new one-time link for setting a password; earlier links become invalid."""
    with connect() as client:
        _print_link(client, client.post(f"users/{_user_id(client, name)}/link"))


@users.command()
@click.argument("name")
@click.argument("role", type=ROLES)
def role(name: str, role: str) -> None:
    """Change the role of a user, who has to sign in again."""
    _change(name, role=role)


@users.command()
@click.argument("name")
def deactivate(name: str) -> None:
    """End all sessions and tokens of a user. The audit log keeps their actions."""
    _change(name, is_active=False)


@users.command()
@click.argument("name")
def activate(name: str) -> None:
    """Allow a deactivated user to sign in again."""
    _change(name, is_active=True)


@users.command("remove-second-factor")
@click.argument("name")
def remove_second_factor(name: str) -> None:
    """Remove a user's second factor, e.g. if their phone is lost; logins ask for no code then."""
    with connect() as client:
        user = client.post(f"users/{_user_id(client, name)}/second-factor/remove")
    click.echo(f"{user['name']}: {user['role']}, {_sign_in(user)}")


def _change(name: str, **changes: Any) -> None:
    with connect() as client:
        user = client.request("PATCH", f"users/{_user_id(client, name)}", json=changes)
    click.echo(f"{user['name']}: {user['role']}, {_sign_in(user)}")


def _user_id(client: Client, name: str) -> int:
    wanted = name.casefold().strip()
    for user in client.get("users")["users"]:
        if user["name"] == wanted:
            return int(user["id"])
    raise UsageProblem(f"user {name} not found; list users with: overread users")


def _print_link(client: Client, made: dict[str, Any]) -> None:
    name, until = made["user"]["name"], moment(made["expires_at"])
    click.echo(f"One-time link for {name} to set a password, valid until {until}:", err=True)
    click.echo(urljoin(client.url, made["link"]))  # it has the path of client.url already


def _sign_in(user: dict[str, Any]) -> str:
    if not user["is_active"]:
        return "deactivated"
    words = "password" if user["has_password"] else "one-time links only"
    return f"{words}, and code" if user["has_second_factor"] else words
