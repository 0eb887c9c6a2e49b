"""Generated requests, valid and invalid, against the API and its description."""

import logging
import os
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
