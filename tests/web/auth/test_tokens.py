"""API tokens: no more than their owner may, no longer than said, and shown once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from models.base import now
from models.tables.people import Role, Token, User
from tests.support.web.pages import words
from tests.support.web.people import is_in, submit, written
from tests.support.web.portal import Portal

JOB = {"name": "a folder"}


def asked(client: FlaskClient, **change: Any) -> Any:
    body = {"name": "night upload", "role": "operator", "days": 30} | change
    return client.post("/api/v1/tokens", json=body)


def holding(portal: Portal, token: str) -> FlaskClient:
    client = portal.app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_a_token_is_said_once_and_works(portal: Portal) -> None:
    program = portal.program()
    made = asked(program)
    assert made.status_code == 201
    lifetime = datetime.fromisoformat(made.json["expires_at"]) - now()
    assert timedelta(days=29) < lifetime <= timedelta(days=30)
    assert holding(portal, made.json["token"]).post("/api/v1/jobs", json=JOB).status_code == 201
    listed = program.get("/api/v1/tokens")
    assert listed.json["tokens"][0]["name"] == "night upload"
    assert made.json["token"] not in listed.text
    assert written(portal)[0] == ("token.issued", str(made.json["id"]))


def test_a_token_may_do_what_its_scope_may_and_no_more(portal: Portal) -> None:
    for scope in Role:
        token = asked(portal.program(Role.ADMIN), role=scope).json["token"]
        client = holding(portal, token)
        codes = [
            client.get("/api/v1/jobs").status_code,
            client.post("/api/v1/labels", json={}).status_code,
            client.post("/api/v1/jobs", json={}).status_code,
            client.get("/api/v1/users").status_code,
        ]
        let_in = [code != 403 for code in codes]
        assert let_in == [list(Role).index(scope) >= place for place in range(4)], scope


def test_a_token_is_worth_what_its_owner_is_worth_today(portal: Portal) -> None:
    client = holding(portal, asked(portal.program(Role.ADMIN), role="operator").json["token"])
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
        ({"days": None}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 81}, 422),
        ({"role": "owner"}, 422),
        ({"kind": "login"}, 422),
    ],
)
def test_a_token_has_a_name_an_end_and_a_scope_within_ones_own(
    portal: Portal, change: dict[str, Any], status: int
) -> None:
    assert asked(portal.program(Role.OPERATOR), **change).status_code == status


def test_a_token_makes_none_that_may_more_or_lives_longer(portal: Portal) -> None:
    narrow = holding(portal, asked(portal.program(Role.ADMIN), role="viewer", days=7).json["token"])
    assert asked(narrow, role="reader", days=1).status_code == 403
    assert asked(narrow, role="viewer", days=8).status_code == 403
    assert asked(narrow, role="viewer", days=6).status_code == 201


def test_a_token_does_not_become_a_login(portal: Portal) -> None:
    """Its owner has no password, so setting one would ask for none."""
    program = portal.program(Role.ADMIN)
    client = holding(portal, asked(program, role="viewer").json["token"])
    fields = {"password": "seven grey pigeons", "again": "seven grey pigeons"}
    for path in ("password", "leave", "tokens", "tokens/1/revoke"):
        answer = client.post(f"/account/{path}", data=fields)
        assert answer.status_code == 403, path
        assert "Not available with an API token" in answer.text
    del client.environ_base["HTTP_AUTHORIZATION"]
    assert not is_in(client)


def test_a_revoked_or_expired_token_is_refused(portal: Portal) -> None:
    program = portal.program()
    first, second = asked(program).json, asked(program).json
    left = program.post(f"/api/v1/tokens/{first['id']}/revoke").json["tokens"]
    assert first["id"] not in {token["id"] for token in left}
    assert program.post(f"/api/v1/tokens/{first['id']}/revoke").status_code == 404
    assert holding(portal, first["token"]).get("/api/v1/jobs").status_code == 401
    client = holding(portal, second["token"])
    assert client.get("/api/v1/jobs").status_code == 200
    with portal.database.sessions.begin() as session:
        row = session.get_one(Token, second["id"])
        row.expires_at = now() - timedelta(seconds=1)
    assert client.get("/api/v1/jobs").status_code == 401
    assert second["id"] not in {t["id"] for t in program.get("/api/v1/tokens").json["tokens"]}
    assert ("token.revoked", str(first["id"])) in written(portal)


def test_a_token_ends_none_that_may_do_more(portal: Portal) -> None:
    program = portal.program(Role.ADMIN)
    wide = asked(program, role="operator").json
    narrow = holding(portal, asked(program, role="viewer").json["token"])
    assert narrow.post(f"/api/v1/tokens/{wide['id']}/revoke").status_code == 403
    assert holding(portal, wide["token"]).get("/api/v1/jobs").status_code == 200


def test_anothers_token_is_not_there(portal: Portal) -> None:
    made = asked(portal.program(Role.OPERATOR)).json
    other = portal.program(Role.ADMIN)
    assert other.post(f"/api/v1/tokens/{made['id']}/revoke").status_code == 404
    assert holding(portal, made["token"]).get("/api/v1/jobs").status_code == 200
    assert "night upload" not in other.get("/api/v1/tokens").text


def test_the_page_makes_shows_once_and_revokes(portal: Portal) -> None:
    browser = portal.browser()
    made = submit(browser, "/account/tokens", name="my script", role="reader", days="90").text
    token = made.partition("data-secret>")[2].partition("<")[0]
    assert holding(portal, token).get("/api/v1/jobs").status_code == 200
    page = browser.get("/account")
    assert token not in page.text
    assert "my script" in words(browser, "/account")
    path = page.text.partition('action="/account/tokens/')[2].partition('"')[0]
    assert submit(browser, f"/account/tokens/{path}").status_code == 303
    assert "my script" not in words(browser, "/account")
    assert submit(browser, "/account/tokens", name="x", role="reader", days="").status_code == 422
    assert submit(browser, "/account/tokens", name="x", role="admin", days="7").status_code == 403


def test_who_sends_wrong_tokens_has_to_wait_but_a_right_one_works(portal: Portal) -> None:
    wrong, program = holding(portal, "wrong"), portal.program()
    codes = [wrong.get("/api/v1/jobs").status_code for _ in range(31)]
    assert set(codes[:30]) == {401}
    assert codes[30] == 429
    assert wrong.get("/").status_code == 429
    assert program.get("/api/v1/jobs").status_code == 200
    assert is_in(portal.browser())
