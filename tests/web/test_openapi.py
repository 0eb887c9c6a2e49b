"""The API's description: complete, valid, and the same rules that are enforced."""

import re
from typing import Any

from openapi_spec_validator import validate

from models.people.users import RANK
from models.tables.people import Role
from tests.support.web.portal import Portal
from tests.support.web.routes import walk
from web.auth.rules import RULE
from web.http.openapi import PATH

OPEN = ("/health", "/healthz", "/readyz")


def spec_of(portal: Portal) -> dict[str, Any]:
    return dict(portal.program().get(PATH).json)


def operations_of(spec: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): op for path, item in spec["paths"].items() for method, op in item.items()
    }


def test_description_is_valid_openapi(portal: Portal) -> None:
    validate(spec_of(portal))


def test_openapi_describes_exactly_the_api_routes(portal: Portal) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.pattern), route.method.lower())
        for route in walk(portal)
        if route.method not in ("HEAD", "OPTIONS")  # Flask adds them
        and (route.pattern.startswith("/api/v1/") or route.pattern in (*OPEN, "/metrics"))
    }
    assert set(operations_of(spec_of(portal))) == routes - {(PATH, "get")}


def test_operations_have_distinct_ids_known_tags_and_a_success(portal: Portal) -> None:
    spec = spec_of(portal)
    operations = operations_of(spec).values()
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    tags = [tag["name"] for tag in spec["tags"]]
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert all(min(operation["responses"]) < "400" for operation in operations)
    upload = spec["paths"]["/api/v1/jobs/{job_id}/files"]["post"]["requestBody"]["content"]
    assert list(upload) == ["multipart/form-data"]


def test_operations_name_the_role_that_is_enforced(portal: Portal) -> None:
    views = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.pattern), route.method.lower()): route.endpoint
        for route in walk(portal)
    }
    for place, operation in operations_of(spec_of(portal)).items():
        role = portal.app.view_functions[views[place]].__dict__[RULE]
        if role is None:
            assert operation["security"] == [], place
        else:
            assert operation["x-required-role"] == role.value, place
            assert f"Needs the role {role.value}" in operation["description"], place


def test_errors_of_all_operations_are_described_by_one_schema(portal: Portal) -> None:
    spec = spec_of(portal)
    for (path, method), operation in operations_of(spec).items():
        if path in OPEN:
            continue
        errors = {status for status in operation["responses"] if status >= "400"}
        expected = {"401", "403", "422", "429", "503"}
        expected |= {"404"} if "{" in path else set()
        expected |= {"400", "413", "507"} if method != "get" else set()
        expected |= {"415"} if "requestBody" in operation else set()
        assert errors >= expected, (path, method)
        for status in errors:
            reference = operation["responses"][status]["$ref"]
            assert reference == f"#/components/responses/Error{status}"
    for response in spec["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
    assert "Retry-After" in spec["components"]["responses"]["Error429"]["headers"]


def test_bodies_are_optional_only_where_an_empty_object_will_do(portal: Portal) -> None:
    bodies = {
        path.rsplit("/", 1)[1]: operation["requestBody"]["required"]
        for (path, method), operation in operations_of(spec_of(portal)).items()
        if method == "post" and "requestBody" in operation
    }
    assert bodies | {"close": False, "retry": False, "promote": False} == bodies
    assert bodies | {"tokens": True, "purges": True, "files": True, "csv": True} == bodies


def test_json_responses_have_the_described_fields(portal: Portal, known: dict[str, Any]) -> None:
    """Every JSON response to GET has exactly the described fields."""
    client = portal.program(Role.ADMIN)
    spec = client.get(PATH).json
    checked = 0
    for path, item in spec["paths"].items():
        content = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref")
        if reference:
            schema = spec["components"]["schemas"][reference.rsplit("/", 1)[1]]
            answer = client.get(path.format(**known)).json
            assert set(answer) == set(schema["properties"]), path
            checked += 1
    assert checked >= 7


def test_every_role_may_read_the_description(portal: Portal) -> None:
    assert all(portal.program(role).get(PATH).status_code == 200 for role in RANK)
    assert portal.app.test_client().get(PATH).status_code == 401
