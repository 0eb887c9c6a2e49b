"""`overread users` and `overread tokens` against a portal."""

import re
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from models.settings import Settings
from models.tables import Role
from models.tokens import issue_token
from tests.databases import open_database
from tests.rows import a_user
from tests.serving import serving
from web.app import create_app
from web.services import KEY


@pytest.fixture
def service(settings: Settings) -> Iterator[dict[str, str]]:
    with open_database(settings, make_tables=True) as database:
        with database.sessions.begin() as session:
            ada = a_user(session, name="ada", role=Role.ADMIN)
            token = issue_token(session, user=ada, kind="api")
        app = create_app(settings)
        with serving(app) as address:
            yield {"OVERREAD_URL": address, "OVERREAD_TOKEN": token}
        app.extensions[KEY].sessions.kw["bind"].dispose()


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=environment).invoke(main, list(arguments))


def test_users_come_change_and_go(service: dict[str, str]) -> None:
    added = run(service, "users", "add", "Olga", "--role", "reader")
    assert (added.exit_code, added.stderr.startswith("Hand this to olga")) == (0, True)
    link = added.stdout.strip()
    assert link.startswith(f"{service['OVERREAD_URL']}/welcome?token=")
    assert "Choose a password" in httpx.get(link).text
    newer = run(service, "users", "link", "olga").stdout.strip()
    assert httpx.get(link).status_code == 410
    assert httpx.get(newer).status_code == 200
    assert run(service, "users", "role", "olga", "operator").stdout.startswith("olga: operator")
    gone = run(service, "users", "deactivate", "olga")
    assert gone.stdout == "olga: operator, deactivated\n"
    assert run(service, "users", "activate", "olga").stdout == "olga: operator, by links only\n"
    listed = run(service, "users").stdout
    assert re.search(r"ada +│ admin", listed)
    assert re.search(r"olga +│ operator", listed)


def test_what_cannot_be_is_said_in_one_line(service: dict[str, str]) -> None:
    unknown = run(service, "users", "role", "nobody", "admin")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert unknown.stderr == "Error: there is no user nobody; list them: overread users\n"
    last = run(service, "users", "deactivate", "ada")
    assert last.exit_code == 1
    assert "ada is the last admin" in last.stderr
    taken = run(service, "users", "add", "ada", "--role", "viewer")
    assert "this name is taken" in taken.stderr


def test_a_token_is_made_used_and_revoked(service: dict[str, str]) -> None:
    made = run(service, "tokens", "add", "night upload", "--role", "viewer", "--days", "7")
    assert made.exit_code == 0
    theirs = service | {"OVERREAD_TOKEN": made.stdout.strip()}
    assert run(theirs, "jobs").exit_code == 0
    refused = run(theirs, "users")
    assert refused.exit_code == 1
    assert "needs the role admin; yours is viewer" in refused.stderr
    listed = run(service, "tokens").stdout
    found = re.search(r"(\d+) +│ night upload +│ viewers", listed)
    assert found is not None, listed
    assert (
        run(service, "tokens", "revoke", found[1]).stdout == f"token {found[1]} no longer works\n"
    )
    assert "refuses this token" in run(theirs, "jobs").stderr
    assert run(service, "tokens", "revoke", found[1]).exit_code == 2
