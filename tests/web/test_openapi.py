"""The API's description, and generated requests, valid and invalid, against it."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from sqlalchemy import select

from models.people.tokens import issue_token
from models.tables.people import Role, Token
from tests.support.data.nights import a_night, a_snapshot
from tests.support.data.rows import a_user, a_version
from tests.support.web.portal import Portal
from tests.support.web.routes import walk
from worker.enqueue import connect

log = logging.getLogger(__name__)

EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))  # of each operation, valid and invalid
DESCRIPTION = "/api/v1/openapi.json"
NEVER_GENERATED = {"user_id", "token_id"}  # the test would lock itself out
MAY_RETURN_503 = ("/health", "/readyz")


@schemathesis.serializer("application/offset+octet-stream")
def _unchanged(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture
def known(portal: Portal, a_png: bytes, broker_url: str) -> dict[str, Any]:
    """Existing ids by path parameter; a broker is connected."""
    connect(portal.database.settings.model_copy(update={"broker_url": broker_url}))
    job_id = portal.new_job()
    portal.send(job_id, ("a/b.png", a_png))
    portal.read_all()
    uploads = f"/api/v1/jobs/{job_id}/uploads"
    declared = portal.program().post(uploads, json={"files": [{"file": "a/c.png", "size": 9}]})
    with portal.database.sessions.begin() as session:
        other = a_user(session, name="another")
        issue_token(session, user=other, kind="api")
        return {
            "image_id": 1,
            "study_id": 1,
            "night_id": a_night(session).id,
            "snapshot_id": a_snapshot(session).id,
            "user_id": other.id,
            "token_id": session.scalars(select(Token.id).where(Token.user_id == other.id)).one(),
            "upload_id": declared.json["uploads"][0]["id"],
            "job_id": job_id,
            "name": a_version(session, name="v2").name,
        }


def test_openapi_describes_exactly_the_api_routes(portal: Portal) -> None:
    spec = portal.program().get(DESCRIPTION).json
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.pattern), route.method.lower())
        for route in walk(portal)
        if route.method not in ("HEAD", "OPTIONS")  # Flask adds them
        and (route.pattern.startswith("/api/v1/") or route.pattern == "/health")
    }
    described = {(path, method) for path, item in spec["paths"].items() for method in item}
    assert described == routes - {(DESCRIPTION, "get")}


def test_openapi_document_is_consistent(portal: Portal) -> None:
    spec = portal.program().get(DESCRIPTION).json
    assert spec["openapi"].startswith("3.1")
    operations = [op for item in spec["paths"].values() for op in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all(min(operation["responses"]) < "400" for operation in operations)
    upload = spec["paths"]["/api/v1/jobs/{job_id}/files"]["post"]["requestBody"]["content"]
    assert list(upload) == ["multipart/form-data"]
    refusals = [
        list(response["content"])
        for operation in operations
        for status, response in operation["responses"].items()
        if status >= "400" and response.get("content")
    ]
    assert len(refusals) > len(operations) / 2
    assert all(media_types == ["application/problem+json"] for media_types in refusals)


def test_json_responses_have_the_described_fields(portal: Portal, known: dict[str, Any]) -> None:
    """Every JSON response to GET has exactly the described fields."""
    client = portal.program(Role.ADMIN)
    spec = client.get(DESCRIPTION).json
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


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_api_never_fails_on_generated_requests(
    portal: Portal, known: dict[str, Any], mode: GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {portal.token(Role.ADMIN)}"}
    schema = schemathesis.openapi.from_wsgi(DESCRIPTION, portal.app, headers=headers)
    seen: Counter[int] = Counter()

    def ask(case: Any, *, is_known: bool) -> None:
        names = set(known) if is_known else NEVER_GENERATED
        case.path_parameters.update({k: known[k] for k in names & set(case.path_parameters)})
        answer = case.call(headers=headers)
        seen[answer.status_code] += 1
        is_allowed = answer.status_code < 500 or case.path in MAY_RETURN_503
        assert is_allowed, f"{case.method} {case.formatted_path}: {answer.status_code}"

    operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) > 30
    for operation in operations:
        _try(operation.as_strategy(generation_mode=mode), ask)
    assert seen[200] > len(operations) / 3, f"too few requests succeeded: {seen}"
    log.warning("%d operations, %d requests: %s", len(operations), seen.total(), dict(seen))


def _try(cases: st.SearchStrategy[Any], ask: Callable[..., None]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, is_known=st.booleans())
    def run(case: Any, is_known: bool) -> None:
        ask(case, is_known=is_known)

    run()
