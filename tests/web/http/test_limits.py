"""Length of bodies, their JSON, and the rate of a user's requests."""

import io
import time
from typing import Any

import pytest

from models.tables.people import Role
from tests.support.web.portal import Portal
from tests.support.web.sender import CHUNK_TYPE
from web.http.forms import MAX_TOKENS
from web.http.limits import NIGHTS, SMALL_BODY

JOBS, TOKENS = "/api/v1/jobs", "/api/v1/tokens"
A_TOKEN = {"name": "a", "role": "viewer", "days": 1}


class Unread(io.BytesIO):
    """A body that is refused before it is read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


def test_long_body_is_refused_before_it_is_read(portal: Portal) -> None:
    client = portal.program(Role.ADMIN)
    for path in (TOKENS, JOBS, "/api/v1/purges", "/api/v1/nights", "/login"):
        answer = client.post(
            path,
            input_stream=Unread(),
            content_type="application/json",
            environ_overrides={"CONTENT_LENGTH": str(SMALL_BODY + 1)},
        )
        assert answer.status_code == 413, path
    assert client.post(TOKENS, json=A_TOKEN).status_code == 201


CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [(JOBS, "application/json", "64 KiB"), ("/api/v1/labels/csv", "text/csv", "32 MiB")],
)
def test_body_of_unknown_length_is_not_cut_but_refused(
    portal: Portal, path: str, kind: str, limit: str
) -> None:
    body = io.BytesIO(b" " * 33 * 2**20)
    answer = portal.program(Role.ADMIN).post(
        path, input_stream=body, content_type=kind, environ_overrides=CHUNKED
    )
    assert (answer.status_code, answer.json["title"]) == (413, f"at most {limit} are allowed")
    whole = io.BytesIO(b'{"name": "a"}')
    answer = portal.program().post(
        JOBS, input_stream=whole, content_type="application/json", environ_overrides=CHUNKED
    )
    assert answer.status_code == 201


def test_nobody_needs_a_login_to_learn_that_it_is_missing(portal: Portal) -> None:
    answer = portal.app.test_client().post(TOKENS, data=b" " * (SMALL_BODY + 1))
    assert answer.status_code == 401


@pytest.mark.parametrize("unit", [b"[],", b'{"a":0},', b'"\\"",', b'"a', b"1,"])
def test_declaration_with_too_many_values_is_refused_at_once(portal: Portal, unit: bytes) -> None:
    url = f"{JOBS}/{portal.new_job()}/uploads"
    body = b"[" + unit * (7 * 2**20 // len(unit))
    began = time.perf_counter()
    answer = portal.program().post(url, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert time.perf_counter() - began < 1
    too_many = f"the JSON has more than {MAX_TOKENS:,} strings and separators"
    assert answer.json["title"] in (too_many, "the body is not valid JSON")


def test_thousand_of_the_longest_names_are_declared_at_once(portal: Portal) -> None:
    files = [
        {"file": f"{n:04}/" + '[{,"\\' * 600, "size": 1, "sha256": "a" * 64} for n in range(1000)
    ]
    url = f"{JOBS}/{portal.new_job()}/uploads"
    answer = portal.program().post(url, json={"files": files})
    assert answer.status_code == 200
    assert len(answer.json["uploads"]) == 1000


def test_piece_of_the_largest_size_and_one_byte_more(portal: Portal) -> None:
    client, job = portal.program(), portal.new_job()
    size = 16 * 2**20
    declared = client.post(
        f"{JOBS}/{job}/uploads", json={"files": [{"file": "a", "size": size + 9}]}
    )
    url = f"{JOBS}/{job}/uploads/{declared.json['uploads'][0]['id']}"
    headers = {"Upload-Offset": "0"}
    long = client.patch(url, data=bytes(size + 1), content_type=CHUNK_TYPE, headers=headers)
    assert (long.status_code, long.headers["Upload-Offset"]) == (413, "0")
    longer = client.patch(url, data=bytes(size + 2), content_type=CHUNK_TYPE, headers=headers)
    assert longer.status_code == 413
    fits = client.patch(url, data=bytes(size), content_type=CHUNK_TYPE, headers=headers)
    assert (fits.status_code, fits.json["received"]) == (200, size)


@pytest.mark.parametrize(
    ("options", "status", "title"),
    [
        ({"data": b"null"}, 422, "expected a JSON object, not null"),
        ({"data": b"[1]"}, 422, None),
        ({"data": b"{"}, 400, "the body is not valid JSON"),
        ({"data": b"[" * 60_000}, 400, None),
        ({"data": b'{"name": "\\ud800"}'}, 422, None),
        ({"data": b'{"name": "\xff"}'}, 400, None),
        ({"data": b'{"name": "a\\u0000b"}'}, 422, None),
        ({"data": b"{}", "content_type": "text/plain"}, 415, None),
    ],
)
def test_json_must_be_an_object_of_the_right_type(
    portal: Portal, options: dict[str, Any], status: int, title: str | None
) -> None:
    answer = portal.program().post(JOBS, **{"content_type": "application/json"} | options)
    assert answer.status_code == status
    assert title in (None, answer.json["title"])


@pytest.mark.parametrize("days", [True, "7", 7.5, 2**70, None])
def test_numbers_are_not_made_of_other_types(portal: Portal, days: object) -> None:
    answer = portal.program().post(TOKENS, json=A_TOKEN | {"days": days})
    assert answer.status_code == 422
    assert portal.program().post(TOKENS, json=A_TOKEN | {"days": 7.0}).status_code == 201


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("pgae=2", "pgae: unknown parameter"),
        ("page=1&page=2", "page: given more than once"),
        ("page=", "page: "),
        ("page=99999999999999999999", "page: "),
    ],
)
def test_query_of_the_api_is_strict(portal: Portal, query: str, title: str) -> None:
    answer = portal.program().get(f"{JOBS}?{query}")
    assert answer.status_code == 422
    assert answer.json["title"].startswith(title)
    assert portal.program().get(f"{TOKENS}?x=1").status_code == 422


def test_query_of_a_page_is_lenient(portal: Portal) -> None:
    assert portal.browser().get("/?utm_source=mail&page=").status_code == 200


def test_rate_is_counted_for_each_user_over_all_views_of_a_kind(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No broker is connected: the rates need none."""
    monkeypatch.setattr(time, "monotonic", lambda: 601.5)
    admin, other = portal.program(Role.ADMIN), portal.program(Role.OPERATOR)
    answers = [admin.post("/api/v1/nights").status_code for _ in range(NIGHTS.a_minute)]
    assert set(answers) == {202}
    refused = admin.post("/api/v1/rereadings")
    assert refused.status_code == 429
    assert refused.json["title"] == "at most 20 nights and re-readings a minute are allowed"
    assert refused.headers["Retry-After"] == "59"
    assert other.post("/api/v1/nights").status_code == 202
    assert admin.get("/api/v1/nights").status_code == 200


def test_rate_starts_again_with_each_minute_of_the_monotonic_clock(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = portal.program(Role.ADMIN)
    monkeypatch.setattr(time, "monotonic", lambda: 600.0)
    for _ in range(NIGHTS.a_minute + 1):
        admin.post("/api/v1/nights")
    yesterday = time.time() - 86_400  # the wall clock steps back
    monkeypatch.setattr(time, "time", lambda: yesterday)
    monkeypatch.setattr(time, "monotonic", lambda: 660.0)
    assert admin.post("/api/v1/nights").status_code == 202
