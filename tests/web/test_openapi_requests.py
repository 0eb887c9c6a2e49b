"""Generated requests, valid and invalid, to every operation: answers are as described.

`make test-api` generates fifty times as many. ../../schemathesis.toml configures the checks.
"""

import logging
import os
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

from models.people.users import RANK
from models.tables.people import Role
from tests.support.web.portal import Portal
from web.auth.credentials import limiter
from web.http.openapi import PATH

log = logging.getLogger(__name__)

EXAMPLES = int(os.environ.get("API_EXAMPLES", "2"))  # of each operation
NEVER_GENERATED = {"user_id", "token_id"}  # the test would lock itself out
MIN_OPERATIONS = 45


class Asking:
    """Sends generated requests as one role."""

    def __init__(self, portal: Portal, known: dict[str, Any], role: Role) -> None:
        self.role, self.known = role, known
        self.headers = {"Authorization": f"Bearer {portal.token(role)}"}
        schema = schemathesis.openapi.from_wsgi(PATH, portal.app, headers=self.headers)
        self.operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
        self.seen: Counter[int] = Counter()

    def ask(self, case: Any, *, is_known: bool) -> Any:
        path = case.meta.components.get(ParameterLocation.PATH)
        if path is None or path.mode is GenerationMode.POSITIVE:
            self._choose_ids(case, is_known=is_known)
        limiter.reset()  # a check sends wrong tokens
        answer = case.call(headers=self.headers)
        self.seen[answer.status_code] += 1
        case.validate_response(answer, headers=self.headers)
        return answer

    def _choose_ids(self, case: Any, *, is_known: bool) -> None:
        names = set(self.known) if is_known else NEVER_GENERATED
        case.path_parameters.update({k: self.known[k] for k in names & set(case.path_parameters)})

    def ask_all(self, mode: GenerationMode, *, examples: int) -> None:
        assert len(self.operations) > MIN_OPERATIONS
        for operation in self.operations:
            self._ask_some(operation.as_strategy(generation_mode=mode), examples)
        log.warning("%d requests: %s", self.seen.total(), dict(self.seen))

    def _ask_some(self, cases: st.SearchStrategy[Any], examples: int) -> None:
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, is_known=st.booleans())
        def run(case: Any, is_known: bool) -> None:
            self.check_role(case, self.ask(case, is_known=is_known))

        with suppress(Unsatisfiable):  # nothing can be wrong with a request without parameters
            run()

    def check_role(self, case: Any, answer: Any) -> None:
        needed = case.operation.definition.raw.get("x-required-role")
        if needed is not None and RANK[Role(needed)] > RANK[self.role]:
            assert answer.status_code == 403, case


@schemathesis.serializer("application/offset+octet-stream")
def _unchanged(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_are_as_described(
    portal: Portal, known: dict[str, Any], mode: GenerationMode
) -> None:
    asking = Asking(portal, known, Role.ADMIN)
    asking.ask_all(mode, examples=EXAMPLES)
    assert asking.seen.total() > MIN_OPERATIONS
    if mode is GenerationMode.NEGATIVE:
        assert asking.seen[422] + asking.seen[400] > 0, asking.seen
    else:
        assert asking.seen[200] > asking.seen.total() / 4, asking.seen


@pytest.mark.parametrize("role", [Role.VIEWER, Role.READER, Role.OPERATOR])
def test_answers_to_lower_roles_are_as_described(
    portal: Portal, known: dict[str, Any], role: Role
) -> None:
    asking = Asking(portal, known, role)
    asking.ask_all(GenerationMode.POSITIVE, examples=max(1, EXAMPLES // 2))
    assert asking.seen[403] > 0
