"""Every route requires the role in this table."""

import logging

import pytest
from flask.testing import FlaskClient

from models.people.users import RANK
from models.tables.people import Role
from tests.support.web.portal import Portal
from tests.support.web.routes import Walked, walk
from web.auth.rules import needs, open_to_all

NOBODY = None
VIEWER, READER, OPERATOR, ADMIN = Role
# The lowest role that may use the route. HEAD and OPTIONS follow from it.
ROLES: dict[str, dict[str, Role | None]] = {
    "/": {"GET": VIEWER},
    "/about": {"GET": VIEWER},
    "/account": {"GET": VIEWER},
    "/account/leave": {"POST": VIEWER},
    "/account/password": {"POST": VIEWER},
    "/account/second-factor": {"GET": VIEWER, "POST": VIEWER},
    "/account/second-factor/off": {"POST": VIEWER},
    "/account/second-factor/on": {"POST": VIEWER},
    "/account/second-factor/recovery-codes": {"POST": VIEWER},
    "/account/tokens": {"POST": VIEWER},
    "/account/tokens/<int:token_id>/revoke": {"POST": VIEWER},
    "/api/v1/audit": {"GET": ADMIN},
    "/api/v1/audit/check": {"POST": ADMIN},
    "/api/v1/images/<int:image_id>/display": {"GET": VIEWER},
    "/api/v1/images/<int:image_id>/heatmap.png": {"GET": VIEWER},
    "/api/v1/images/<int:image_id>/overlay.png": {"GET": VIEWER},
    "/api/v1/images/<int:image_id>/thumbnail": {"GET": VIEWER},
    "/api/v1/jobs": {"GET": VIEWER, "POST": OPERATOR},
    "/api/v1/jobs/<job_id>": {"GET": VIEWER},
    "/api/v1/jobs/<job_id>/cancel": {"POST": OPERATOR},
    "/api/v1/jobs/<job_id>/close": {"POST": OPERATOR},
    "/api/v1/jobs/<job_id>/files": {"POST": OPERATOR},
    "/api/v1/jobs/<job_id>/images": {"GET": VIEWER},
    "/api/v1/jobs/<job_id>/retry": {"POST": OPERATOR},
    "/api/v1/jobs/<job_id>/uploads": {"GET": VIEWER, "POST": OPERATOR, "PATCH": OPERATOR},
    "/api/v1/jobs/<job_id>/uploads/handed-over": {"POST": OPERATOR},
    "/api/v1/jobs/<job_id>/uploads/<int:upload_id>": {"PATCH": OPERATOR},
    "/api/v1/labels": {"GET": VIEWER, "POST": READER},
    "/api/v1/labels/csv": {"POST": READER},
    "/api/v1/labels/summary": {"GET": VIEWER},
    "/api/v1/model-versions": {"GET": VIEWER},
    "/api/v1/model-versions/<name>/promote": {"POST": ADMIN},
    "/api/v1/model-versions/<name>/reject": {"POST": ADMIN},
    "/api/v1/nights": {"GET": VIEWER, "POST": OPERATOR},
    "/api/v1/nights/<int:night_id>": {"GET": VIEWER},
    "/api/v1/nights/<int:night_id>/cancel": {"POST": OPERATOR},
    "/api/v1/openapi.json": {"GET": VIEWER},
    "/api/v1/purges": {"POST": ADMIN},
    "/api/v1/rereadings": {"GET": VIEWER, "POST": ADMIN},
    "/api/v1/results": {"GET": VIEWER},
    "/api/v1/roll-back": {"POST": ADMIN},
    "/api/v1/snapshots": {"GET": VIEWER},
    "/api/v1/snapshots/<int:snapshot_id>": {"GET": VIEWER},
    "/api/v1/snapshots/<int:snapshot_id>/images.csv": {"GET": VIEWER},
    "/api/v1/studies": {"GET": VIEWER},
    "/api/v1/studies/<int:study_id>": {"GET": VIEWER},
    "/api/v1/tokens": {"GET": VIEWER, "POST": VIEWER},
    "/api/v1/tokens/<int:token_id>/revoke": {"POST": VIEWER},
    "/api/v1/users": {"GET": ADMIN, "POST": ADMIN},
    "/api/v1/users/<int:user_id>": {"PATCH": ADMIN},
    "/api/v1/users/<int:user_id>/link": {"POST": ADMIN},
    "/api/v1/users/<int:user_id>/second-factor/remove": {"POST": ADMIN},
    "/audit": {"GET": ADMIN},
    "/audit/check": {"POST": ADMIN},
    "/health": {"GET": NOBODY},
    "/healthz": {"GET": NOBODY},
    "/jobs/<job_id>": {"GET": VIEWER},
    "/labels": {"GET": VIEWER},
    "/labels/images/<int:image_id>": {"GET": VIEWER},
    "/login": {"GET": NOBODY, "POST": NOBODY},
    "/login/code": {"GET": NOBODY, "POST": NOBODY},
    "/login/link": {"GET": NOBODY, "POST": NOBODY},
    "/logout": {"POST": VIEWER},
    "/metrics": {"GET": VIEWER},
    "/nights": {"GET": VIEWER, "POST": OPERATOR},
    "/nights/<int:night_id>": {"GET": VIEWER},
    "/nights/<int:night_id>/cancel": {"POST": OPERATOR},
    "/readyz": {"GET": NOBODY},
    "/rereadings": {"POST": ADMIN},
    "/roll-back": {"POST": ADMIN},
    "/snapshots/<int:snapshot_id>": {"GET": VIEWER},
    "/static/<path:filename>": {"GET": NOBODY},
    "/studies": {"GET": VIEWER},
    "/studies/<int:study_id>": {"GET": VIEWER},
    "/terms": {"GET": ADMIN},
    "/terms/<int:term_id>": {"POST": ADMIN},
    "/users": {"GET": ADMIN, "POST": ADMIN},
    "/users/<int:user_id>": {"POST": ADMIN},
    "/users/<int:user_id>/link": {"POST": ADMIN},
    "/users/<int:user_id>/second-factor/remove": {"POST": ADMIN},
    "/versions": {"GET": VIEWER},
    "/versions/<name>": {"GET": VIEWER},
    "/versions/<name>/promote": {"POST": ADMIN},
    "/versions/<name>/reject": {"POST": ADMIN},
    "/welcome": {"GET": NOBODY, "POST": NOBODY},
}
TABLE = {
    f"{method} {path}": role for path, roles in ROLES.items() for method, role in roles.items()
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


@pytest.mark.parametrize("who", [NOBODY, *Role], ids=["nobody", *Role])
def test_routes_admit_exactly_the_roles_of_the_table(portal: Portal, who: Role | None) -> None:
    walked = [route for route in walk(portal) if route.method != "OPTIONS"]
    client = portal.program(who) if who else portal.app.test_client()
    admitted = {(route.method, route.pattern): is_admitted(client, route) for route in walked}
    wanted = {(r.method, r.pattern): rank(who) >= rank(TABLE[r.table_key]) for r in walked}
    assert admitted == wanted


def test_options_requires_a_role_for_one_of_the_methods(portal: Portal) -> None:
    """If a path has several views, any of them may answer."""
    nobody, viewer = portal.app.test_client(), portal.program(Role.VIEWER)
    for route in walk(portal):
        if route.method == "OPTIONS":
            lowest = min(rank(role) for role in ROLES[route.pattern].values())
            for who, client in ((NOBODY, nobody), (VIEWER, viewer)):
                may_use_one = rank(who) >= lowest
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
