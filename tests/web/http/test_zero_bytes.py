"""Zero bytes, which PostgreSQL rejects in text, are client errors."""

import pytest

from models.tables.people import Role
from tests.support.servers.databases import both_databases
from tests.support.web.people import proof, submit
from tests.support.web.portal import Portal, send

pytestmark = both_databases

JOB = "/api/v1/jobs/%00"


@pytest.mark.parametrize(
    "path",
    [
        *("/jobs/%00", "/versions/%00", "/studies?job_id=%00"),
        *(JOB, f"{JOB}/images", f"{JOB}/uploads", "/api/v1/results?job_id=%00"),
    ],
)
def test_zero_byte_in_a_url(portal: Portal, path: str) -> None:
    assert portal.browser().get(path).status_code in (200, 404, 422)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/v1/jobs", {"name": "a\0b"}),
        ("/api/v1/tokens", {"name": "a\0b", "role": "viewer", "days": 1}),
        ("/api/v1/purges", {"job_id": "a\0b"}),
        ("/api/v1/model-versions/%00/promote", {"reason": "a\0b"}),
        *((f"{JOB}/{action}", {}) for action in ("close", "cancel", "retry")),
    ],
)
def test_zero_byte_in_json(portal: Portal, path: str, fields: dict[str, str]) -> None:
    answer = portal.program(Role.ADMIN).post(path, json=fields)
    assert answer.status_code in (200, 201, 404, 422), answer.text


def test_zero_byte_in_a_form(portal: Portal) -> None:
    stranger = portal.app.test_client()
    form = {"csrf_token": proof(stranger), "name": "a\0b", "password": "x"}
    assert stranger.post("/login", data=form).status_code in (403, 422)
    fields = {"name": "a\0b", "role": "viewer", "days": "7"}
    assert submit(portal.browser(), "/account/tokens", **fields).status_code in (200, 422)
    assert send(portal.program(), "%00", ("a.png", b"x")).status_code in (404, 422)
