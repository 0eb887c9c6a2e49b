"""API tokens: scope, lifetime, revocation, and the account page."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from models.base import now
from models.people.tokens import MAX_API_TOKENS, issue_token
from models.tables.people import Role, Token, User
from tests.support.data.rows import a_user
from tests.support.web.pages import words
from tests.support.web.people import (
    ANOTHER,
    PASSWORD,
    a_person,
    audited,
    entered,
    is_in,
    submit,
)
from tests.support.web.portal import Portal

JOB = {"name": "a folder"}


def asked(client: FlaskClient, **change: Any) -> Any:
    body = {"name": "night upload", "role": "operator", "days": 30} | change
    return client.post("/api/v1/tokens", json=body)


def test_created_token_works_and_is_shown_once(portal: Portal) -> None:
    program = portal.program()
    made = asked(program)
    assert made.status_code == 201
    lifetime = datetime.fromisoformat(made.json["expires_at"]) - now()
    assert timedelta(days=29) < lifetime <= timedelta(days=30)
    assert portal.client_with(made.json["token"]).post("/api/v1/jobs", json=JOB).status_code == 201
    listed = program.get("/api/v1/tokens")
    assert listed.json["tokens"][0]["name"] == "night upload"
    assert made.json["token"] not in listed.text
    assert audited(portal)[0] == ("token.issued", str(made.json["id"]))


def test_token_is_limited_to_its_role(portal: Portal) -> None:
    for scope in Role:
        token = asked(portal.program(Role.ADMIN), role=scope).json["token"]
        client = portal.client_with(token)
        codes = [
            client.get("/api/v1/jobs").status_code,
            client.post("/api/v1/labels", json={}).status_code,
            client.post("/api/v1/jobs", json={}).status_code,
            client.get("/api/v1/users").status_code,
        ]
        allowed = [code != 403 for code in codes]
        assert allowed == [list(Role).index(scope) >= place for place in range(4)], scope


def test_token_is_limited_to_its_owners_current_role(portal: Portal) -> None:
    client = portal.client_with(asked(portal.program(Role.ADMIN), role="operator").json["token"])
    assert client.post("/api/v1/jobs", json=JOB).status_code == 201
    with portal.database.sessions.begin() as session:
        session.execute(update(User).values(role=Role.VIEWER))
    assert client.post("/api/v1/jobs", json=JOB).status_code == 403
    listed = client.get("/api/v1/tokens").json["tokens"]
    assert {token["role"] for token in listed} == {"viewer"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"role": "admin"}, 403),
        ({"days": 0}, 422),
        ({"days": 366}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 81}, 422),
        ({"kind": "login"}, 422),
    ],
)
def test_token_creation_rejects_invalid_fields(
    portal: Portal, change: dict[str, Any], status: int
) -> None:
    assert asked(portal.program(Role.OPERATOR), **change).status_code == status


def test_token_cannot_create_or_revoke_a_wider_or_longer_token(portal: Portal) -> None:
    program = portal.program(Role.ADMIN)
    narrow = portal.client_with(asked(program, role="viewer", days=7).json["token"])
    assert asked(narrow, role="reader", days=1).status_code == 403
    assert asked(narrow, role="viewer", days=8).status_code == 403
    assert asked(narrow, role="viewer", days=6).status_code == 201
    wide = asked(program, role="operator").json
    assert narrow.post(f"/api/v1/tokens/{wide['id']}/revoke").status_code == 403
    assert portal.client_with(wide["token"]).get("/api/v1/jobs").status_code == 200


def test_token_cannot_change_the_account(portal: Portal) -> None:
    """The owner has no password, so setting one would require none."""
    program = portal.program(Role.ADMIN)
    client = portal.client_with(asked(program, role="viewer").json["token"])
    fields = {"password": "seven grey pigeons", "again": "seven grey pigeons"}
    for path in ("password", "leave", "tokens", "tokens/1/revoke"):
        answer = client.post(f"/account/{path}", data=fields)
        assert answer.status_code == 403, path
        assert "Not available with an API token" in answer.text
    del client.environ_base["HTTP_AUTHORIZATION"]
    assert not is_in(client)


def test_revoked_and_expired_tokens_are_refused(portal: Portal) -> None:
    program = portal.program()
    first, second = asked(program).json, asked(program).json
    left = program.post(f"/api/v1/tokens/{first['id']}/revoke").json["tokens"]
    assert first["id"] not in {token["id"] for token in left}
    assert program.post(f"/api/v1/tokens/{first['id']}/revoke").status_code == 404
    assert portal.client_with(first["token"]).get("/api/v1/jobs").status_code == 401
    client = portal.client_with(second["token"])
    assert client.get("/api/v1/jobs").status_code == 200
    with portal.database.sessions.begin() as session:
        row = session.get_one(Token, second["id"])
        row.expires_at = now() - timedelta(seconds=1)
    assert client.get("/api/v1/jobs").status_code == 401
    assert second["id"] not in {t["id"] for t in program.get("/api/v1/tokens").json["tokens"]}
    assert ("token.revoked", str(first["id"])) in audited(portal)


def test_tokens_of_other_users_are_not_found(portal: Portal) -> None:
    made = asked(portal.program(Role.OPERATOR)).json
    other = portal.program(Role.ADMIN)
    assert other.post(f"/api/v1/tokens/{made['id']}/revoke").status_code == 404
    assert portal.client_with(made["token"]).get("/api/v1/jobs").status_code == 200
    assert "night upload" not in other.get("/api/v1/tokens").text


def test_account_page_creates_and_revokes_tokens(portal: Portal) -> None:
    browser = portal.browser()
    made = submit(browser, "/account/tokens", name="my script", role="reader", days="90").text
    token = made.partition("data-secret>")[2].partition("<")[0]
    assert portal.client_with(token).get("/api/v1/jobs").status_code == 200
    page = browser.get("/account")
    assert token not in page.text
    assert "my script" in words(browser, "/account")
    path = page.text.partition('action="/account/tokens/')[2].partition('"')[0]
    assert submit(browser, f"/account/tokens/{path}").status_code == 303
    assert "my script" not in words(browser, "/account")
    assert submit(browser, "/account/tokens", name="x", role="reader", days="").status_code == 422
    assert submit(browser, "/account/tokens", name="x", role="admin", days="7").status_code == 403


def test_wrong_tokens_are_rate_limited_but_valid_ones_work(portal: Portal) -> None:
    wrong, program = portal.client_with("wrong"), portal.program()
    codes = [wrong.get("/api/v1/jobs").status_code for _ in range(31)]
    assert set(codes[:30]) == {401}
    assert codes[30] == 429
    assert wrong.get("/").status_code == 429
    assert program.get("/api/v1/jobs").status_code == 200
    assert is_in(portal.browser())


def test_number_of_tokens_of_a_user_is_limited(portal: Portal) -> None:
    program = portal.program()
    with portal.database.sessions.begin() as session:
        user = a_user(session, name="a operator")
        for _ in range(MAX_API_TOKENS - 1):  # beside the program's own
            issue_token(session, user=user, kind="api", lifetime=timedelta(days=1))
    refused = asked(program)
    assert refused.status_code == 409
    assert refused.json["title"].startswith("you have 50 tokens")
    newest = program.get("/api/v1/tokens").json["tokens"][0]["id"]
    program.post(f"/api/v1/tokens/{newest}/revoke")
    assert asked(program).status_code == 201
    assert asked(portal.program(Role.READER), role="reader").status_code == 201


def test_local_token_creates_tokens_that_outlive_it(portal: Portal) -> None:
    local = portal.token(kind="local", lifetime=timedelta(days=1))
    assert asked(portal.client_with(local), days=365).status_code == 201


def test_password_change_revokes_tokens_where_wanted(portal: Portal) -> None:
    a_person(portal)
    browser, word = entered(portal), PASSWORD
    made = submit(browser, "/account/tokens", name="x", role="viewer", days="7").text
    program = portal.client_with(made.partition("data-secret>")[2].partition("<")[0])
    for new, more, is_valid in ((ANOTHER, {}, True), (PASSWORD, {"revoke_tokens": "yes"}, False)):
        fields = {"current": word, "password": new, "again": new} | more
        assert submit(browser, "/account/password", **fields).status_code == 303
        assert (program.get("/api/v1/jobs").status_code == 200) == is_valid
        word = new
    assert audited(portal)[-1] == ("token.revoked", "all")
    assert "Also revoke my API tokens" not in browser.get("/account").text, "there are none"
