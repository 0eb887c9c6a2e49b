"""Users and tokens by the service's API, for people at a terminal."""

from typing import Any

import click

from cli.api.client import Client, connect
from cli.api.errors import NotFoundError
from cli.errors import UsageProblem
from cli.output import cells, console, moment
from cli.settings import read_settings


def print_users() -> None:
    from rich.table import Table

    table = Table("name", "role", "comes in", "since")
    with connect(read_settings()) as client:
        found = client.ask("GET", "users")["users"]
    for user in found:
        since = moment(user["created_at"])
        table.add_row(*cells(user["name"], user["role"], _comes_in(user), since))
    console().print(table)


def add_user(name: str, *, role: str) -> None:
    with connect(read_settings()) as client:
        made = client.ask("POST", "users", json={"name": name, "role": role})
        _say_link(client, made)


def print_link(name: str) -> None:
    with connect(read_settings()) as client:
        user_id = _find(client, name)["id"]
        _say_link(client, client.ask("POST", f"users/{user_id}/link", json={}))


def change_user(name: str, **changes: Any) -> None:
    with connect(read_settings()) as client:
        user_id = _find(client, name)["id"]
        user = client.ask("PATCH", f"users/{user_id}", json=changes)
    click.echo(f"{user['name']}: {user['role']}, {_comes_in(user)}")


def print_tokens() -> None:
    from rich.table import Table

    table = Table("id", "name", "may do what is for", "made", "expires")
    with connect(read_settings()) as client:
        found = client.ask("GET", "tokens")["tokens"]
    for token in found:
        expires = moment(token["expires_at"]) if token["expires_at"] else "never"
        made = moment(token["created_at"])
        may = f"{token['role']}s"
        table.add_row(*cells(token["id"], token["name"] or "-", may, made, expires))
    console().print(table)


def make_token(name: str, *, role: str, days: int) -> None:
    """The token alone goes to standard output, so that a script can take it from there."""
    with connect(read_settings()) as client:
        made = client.ask("POST", "tokens", json={"name": name, "role": role, "days": days})
    click.echo(f"It works until {moment(made['expires_at'])} and is not shown again:", err=True)
    click.echo(made["token"])


def revoke_token(token_id: int) -> None:
    with connect(read_settings()) as client:
        try:
            client.ask("POST", f"tokens/{token_id}/revoke", json={})
        except NotFoundError:
            message = f"you have no token {token_id}; list them: overread tokens"
            raise UsageProblem(message) from None
    click.echo(f"token {token_id} no longer works")


def _find(client: Client, name: str) -> dict[str, Any]:
    wanted = name.casefold().strip()
    for user in client.ask("GET", "users")["users"]:
        if user["name"] == wanted:
            found: dict[str, Any] = user
            return found
    raise UsageProblem(f"there is no user {name}; list them: overread users")


def _say_link(client: Client, made: dict[str, Any]) -> None:
    until, name = moment(made["expires_at"]), made["user"]["name"]
    click.echo(f"Hand this to {name}, to choose a password by, once, until {until}:", err=True)
    click.echo(f"{client.url}{made['link']}")


def _comes_in(user: dict[str, Any]) -> str:
    if not user["is_active"]:
        return "deactivated"
    return "with a password" if user["has_password"] else "by links only"
