"""Zero bytes, which PostgreSQL rejects in text, are client errors."""

from typing import Any

from models.tables.people import Role
from tests.support.servers.databases import both_databases
from tests.support.web.portal import Portal, proof, send

TOKEN = {"name": "a\0b", "role": "viewer", "days": 7}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("GET /jobs/%00", {}),
    ("GET /versions/%00", {}),
    ("GET /studies?job_id=%00", {}),
    ("GET /api/v1/results?job_id=%00", {}),
    ("POST /api/v1/jobs", {"json": {"name": "a\0b"}}),
    ("POST /api/v1/purges", {"json": {"job_id": "a\0b"}}),
    ("POST /api/v1/jobs/%00/close", {"json": {}}),
    ("POST /api/v1/tokens", {"json": TOKEN}),
    ("POST /account/tokens", {"data": TOKEN}),
    ("POST /login", {"data": {"name": "a\0b", "password": "x"}}),
]


@both_databases
def test_zero_byte_is_a_client_error(portal: Portal) -> None:
    browser = portal.browser(Role.ADMIN)
    headers = {"X-CSRFToken": proof(browser, "/account")}
    for route, body in REQUESTS:
        method, path = route.split()
        answer = browser.open(path, method=method, headers=headers, **body)
        assert answer.status_code in (200, 201, 403, 404, 422), route
    assert send(portal.program(), "%00", ("a.png", b"x")).status_code in (404, 422)
