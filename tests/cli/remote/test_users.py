"""`overread users` and `overread tokens` against a portal."""

import re

from models.people.second_factors import turn_on
from tests.support.data.rows import a_user
from tests.support.servers.portal_server import ServedPortal
from tests.support.web.portal import follow_link

ADMIN = "a admin"  # the portal's, of the tests


def test_users_are_added_changed_and_deactivated(service: ServedPortal) -> None:
    added = service.run("users", "add", "Olga", "--role", "reader")
    assert (added.exit_code, added.stderr.startswith("One-time link for olga")) == (0, True)
    link = added.stdout.strip()
    assert link.startswith(f"{service.url}/welcome#")
    newer = service.run("users", "link", "olga").stdout.strip()
    for one, status in ((link, 410), (newer, 200)):
        browser = service.portal.app.test_client()
        token = one.partition("#")[2]
        assert follow_link(browser, token, path="/welcome").status_code == status
    assert service.run("users", "role", "olga", "operator").stdout.startswith("olga: operator")
    gone = service.run("users", "deactivate", "olga")
    assert gone.stdout == "olga: operator, deactivated\n"
    assert (
        service.run("users", "activate", "olga").stdout == "olga: operator, one-time links only\n"
    )
    with service.portal.database.sessions.begin() as session:
        turn_on(session, a_user(session, name="olga"), nonce="a nonce", step=1)
    listed = service.run("users").stdout
    assert "one-time links only, and code" in listed
    assert re.search(rf"{ADMIN} +│ admin", listed)
    assert re.search(r"olga +│ operator", listed)
    removed = service.run("users", "remove-second-factor", "olga")
    assert removed.stdout == "olga: operator, one-time links only\n"


def test_refused_changes_of_users_are_one_line(service: ServedPortal) -> None:
    unknown = service.run("users", "role", "nobody", "admin")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert unknown.stderr == "Error: user nobody not found; list users with: overread users\n"
    last = service.run("users", "deactivate", ADMIN)
    assert last.exit_code == 1
    assert f"{ADMIN} is the last admin" in last.stderr
    service.run("users", "add", "olga", "--role", "reader")
    taken = service.run("users", "add", "olga", "--role", "viewer")
    assert "this name is taken" in taken.stderr


def test_token_is_created_used_and_revoked(service: ServedPortal) -> None:
    made = service.run("tokens", "add", "night upload", "--role", "viewer", "--days", "7")
    assert made.exit_code == 0
    theirs = made.stdout.strip()
    assert service.run("jobs", OVERREAD_TOKEN=theirs).exit_code == 0
    refused = service.run("users", OVERREAD_TOKEN=theirs)
    assert refused.exit_code == 1
    assert "needs the role admin; yours is viewer" in refused.stderr
    listed = service.run("tokens").stdout
    found = re.search(r"(\d+) +│ night upload +│ viewer", listed)
    assert found is not None, listed
    assert service.run("tokens", "revoke", found[1]).stdout == f"token {found[1]} revoked\n"
    assert "refused this token" in service.run("jobs", OVERREAD_TOKEN=theirs).stderr
    assert service.run("tokens", "revoke", found[1]).exit_code == 2
