"""Every route requires the role in this table."""

import logging

import pytest
from flask.testing import FlaskClient

from models.people.users import RANK
from models.tables.people import Role
from tests.support.web.portal import Portal
from tests.support.web.routes import Walked, walk
from web.auth.rules import needs, open_to_all, rule_of

NOBODY = None
VIEWER, READER, OPERATOR, ADMIN = Role
# The lowest role that may use the route. HEAD and OPTIONS follow from it.
TABLE: dict[str, Role | None] = {
    "GET /": VIEWER,
    "GET /about": VIEWER,
    "GET /account": VIEWER,
    "POST /account/leave": VIEWER,
    "POST /account/password": VIEWER,
    "POST /account/tokens": VIEWER,
    "POST /account/tokens/<int:token_id>/revoke": VIEWER,
    "GET /api/v1/audit": ADMIN,
    "POST /api/v1/audit/check": ADMIN,
    "GET /api/v1/images/<int:image_id>/display": VIEWER,
    "GET /api/v1/images/<int:image_id>/heatmap.png": VIEWER,
    "GET /api/v1/images/<int:image_id>/overlay.png": VIEWER,
    "GET /api/v1/images/<int:image_id>/thumbnail": VIEWER,
    "GET /api/v1/jobs": VIEWER,
    "POST /api/v1/jobs": OPERATOR,
    "GET /api/v1/jobs/<job_id>": VIEWER,
    "POST /api/v1/jobs/<job_id>/cancel": OPERATOR,
    "POST /api/v1/jobs/<job_id>/close": OPERATOR,
    "POST /api/v1/jobs/<job_id>/files": OPERATOR,
    "GET /api/v1/jobs/<job_id>/images": VIEWER,
    "POST /api/v1/jobs/<job_id>/retry": OPERATOR,
    "GET /api/v1/jobs/<job_id>/uploads": VIEWER,
    "POST /api/v1/jobs/<job_id>/uploads": OPERATOR,
    "PATCH /api/v1/jobs/<job_id>/uploads": OPERATOR,
    "PATCH /api/v1/jobs/<job_id>/uploads/<int:upload_id>": OPERATOR,
    "GET /api/v1/labels": VIEWER,
    "POST /api/v1/labels": READER,
    "POST /api/v1/labels/csv": READER,
    "GET /api/v1/labels/summary": VIEWER,
    "GET /api/v1/model-versions": VIEWER,
    "POST /api/v1/model-versions/<name>/promote": ADMIN,
    "POST /api/v1/model-versions/<name>/reject": ADMIN,
    "GET /api/v1/nights": VIEWER,
    "POST /api/v1/nights": OPERATOR,
    "GET /api/v1/nights/<int:night_id>": VIEWER,
    "POST /api/v1/nights/<int:night_id>/cancel": OPERATOR,
    "GET /api/v1/openapi.json": VIEWER,
    "POST /api/v1/purges": ADMIN,
    "GET /api/v1/rereadings": VIEWER,
    "POST /api/v1/rereadings": ADMIN,
    "GET /api/v1/results": VIEWER,
    "POST /api/v1/roll-back": ADMIN,
    "GET /api/v1/snapshots": VIEWER,
    "GET /api/v1/snapshots/<int:snapshot_id>": VIEWER,
    "GET /api/v1/snapshots/<int:snapshot_id>/images.csv": VIEWER,
    "GET /api/v1/studies": VIEWER,
    "GET /api/v1/studies/<int:study_id>": VIEWER,
    "GET /api/v1/tokens": VIEWER,
    "POST /api/v1/tokens": VIEWER,
    "POST /api/v1/tokens/<int:token_id>/revoke": VIEWER,
    "GET /api/v1/users": ADMIN,
    "POST /api/v1/users": ADMIN,
    "PATCH /api/v1/users/<int:user_id>": ADMIN,
    "POST /api/v1/users/<int:user_id>/link": ADMIN,
    "GET /audit": ADMIN,
    "POST /audit/check": ADMIN,
    "GET /health": NOBODY,
    "GET /healthz": NOBODY,
    "GET /jobs/<job_id>": VIEWER,
    "GET /labels": VIEWER,
    "GET /labels/images/<int:image_id>": VIEWER,
    "GET /login": NOBODY,
    "POST /login": NOBODY,
    "POST /logout": VIEWER,
    "GET /metrics": VIEWER,
    "GET /nights": VIEWER,
    "POST /nights": OPERATOR,
    "GET /nights/<int:night_id>": VIEWER,
    "POST /nights/<int:night_id>/cancel": OPERATOR,
    "GET /readyz": NOBODY,
    "POST /rereadings": ADMIN,
    "POST /roll-back": ADMIN,
    "GET /snapshots/<int:snapshot_id>": VIEWER,
    "GET /static/<path:filename>": NOBODY,
    "GET /studies": VIEWER,
    "GET /studies/<int:study_id>": VIEWER,
    "GET /users": ADMIN,
    "POST /users": ADMIN,
    "POST /users/<int:user_id>": ADMIN,
    "POST /users/<int:user_id>/link": ADMIN,
    "GET /versions": VIEWER,
    "GET /versions/<name>": VIEWER,
    "POST /versions/<name>/promote": ADMIN,
    "POST /versions/<name>/reject": ADMIN,
    "GET /welcome": NOBODY,
    "POST /welcome": NOBODY,
}
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def rank(role: Role | None) -> int:
    return -1 if role is None else RANK[role]


def is_admitted(client: FlaskClient, route: Walked) -> bool:
    answer = client.open(route.path, method=route.method)
    assert answer.status_code not in (429, 500), route
    refused = answer.status_code == 403 and "needs the role" in answer.text
    if route.method == "HEAD":
        refused = answer.status_code == 403
    asked_to_log_in = answer.status_code == 302 and answer.location.startswith("/login")
    return not (refused or asked_to_log_in or answer.status_code == 401)


def test_role_table_lists_exactly_the_routes(portal: Portal) -> None:
    walked = {route.table_key for route in walk(portal) if route.method != "OPTIONS"}
    assert walked == set(TABLE)


def test_view_rules_match_the_role_table(portal: Portal) -> None:
    for route in walk(portal):
        rule = rule_of(portal.app.view_functions[route.endpoint])
        assert rule is not None, f"{route.pattern}: no @needs and no @open_to_all"
        assert bool(rule.role) != bool(rule.why_open), route
        if route.method != "OPTIONS":
            assert rule.role == TABLE[route.table_key], route


@pytest.mark.parametrize("who", [NOBODY, *Role], ids=["nobody", *Role])
def test_routes_admit_exactly_the_roles_of_the_table(portal: Portal, who: Role | None) -> None:
    walked = [route for route in walk(portal) if route.method != "OPTIONS"]
    client = portal.program(who) if who else portal.app.test_client()
    admitted = {(route.method, route.pattern): is_admitted(client, route) for route in walked}
    wanted = {(r.method, r.pattern): rank(who) >= rank(TABLE[r.table_key]) for r in walked}
    assert admitted == wanted
    print(f"{len(TABLE)} routes, {len(walked)} with HEAD, tried as {who or 'nobody'}")  # noqa: T201


def test_options_requires_a_role_for_one_of_the_methods(portal: Portal) -> None:
    """If a path has several views, any of them may answer."""
    nobody, viewer = portal.app.test_client(), portal.program(Role.VIEWER)
    for route in walk(portal):
        if route.method == "OPTIONS":
            roles = [role for name, role in TABLE.items() if name.split(" ")[1] == route.pattern]
            for who, client in ((NOBODY, nobody), (VIEWER, viewer)):
                may_use_one = any(rank(who) >= rank(role) for role in roles)
                assert may_use_one or not is_admitted(client, route), route


def test_changing_routes_require_a_csrf_token(portal: Portal) -> None:
    admin, nobody = portal.browser(Role.ADMIN), portal.app.test_client()
    changing = [route for route in walk(portal) if route.method in CHANGING]
    for route in changing:
        client = nobody if TABLE[route.table_key] is NOBODY else admin
        answer = client.open(route.path, method=route.method)
        assert answer.status_code == 400, route
        assert "reload the page" in answer.text, route


@pytest.mark.parametrize("who", [NOBODY, *Role], ids=["nobody", *Role])
def test_view_without_a_rule_is_closed(
    portal: Portal, who: Role | None, caplog: pytest.LogCaptureFixture
) -> None:
    portal.app.add_url_rule("/forgotten", view_func=lambda: "secret", endpoint="forgotten")
    client = portal.program(who) if who else portal.app.test_client()
    with caplog.at_level(logging.ERROR):
        answer = client.get("/forgotten")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "no access rule for forgotten" in caplog.text


def test_view_with_two_rules_is_rejected(database: object) -> None:
    def view() -> str:
        return ""

    open_to_all("for this test")(view)
    with pytest.raises(TypeError, match="has a rule already"):
        needs(Role.ADMIN)(view)
