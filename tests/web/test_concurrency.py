"""Limits of the portal under concurrent requests."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from models.config.settings import Settings
from models.people.passwords import HASHING
from models.slots import Slots
from models.tables.people import Role
from tests.support.servers.databases import Database, both_databases
from tests.support.servers.portal_server import portal_threads
from tests.support.web.people import a_person, enter
from tests.support.web.portal import Portal, a_zip
from web.http.export import EXPORT_SLOTS
from web.intake.receive import ARCHIVE_SLOTS
from web.labels.views import TABLE_SLOTS
from web.operations.audit import CHECK_SLOTS
from web.operations.purges import PURGE_SLOTS
from web.reading.renderer import WAITING
from worker.enqueue import SENDING, connect, nudge_ingest

HEALTH_THREADS = 2  # see web.http.gunicorn


@both_databases
def test_connection_pool_serves_every_portal_thread(database: Database) -> None:
    number = portal_threads() + HEALTH_THREADS
    all_connected = Barrier(number)

    def take_connection(_: int) -> None:
        with database.sessions() as session:
            session.execute(text("SELECT 1"))
            all_connected.wait(timeout=20)

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(take_connection, range(number)))


def test_slow_work_leaves_threads_of_the_portal_free() -> None:
    slow = (WAITING, EXPORT_SLOTS, ARCHIVE_SLOTS, TABLE_SLOTS, PURGE_SLOTS, CHECK_SLOTS, HASHING)
    taken = sum(slots.threads for slots in slow)
    assert taken + SENDING.threads < portal_threads()
    assert taken <= portal_threads() - 6


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.slots.WAIT_S", 0.01)


@contextmanager
def all_taken(slots: Slots) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(slots.size):
            stack.enter_context(slots.take())
        yield


@pytest.mark.parametrize("kind", ["exports", "label tables", "logins", "purges", "checks"])
def test_slow_work_beyond_its_slots_is_told_to_try_again(portal: Portal, kind: str) -> None:
    slots, ask = _requests(portal)[kind]
    with all_taken(slots):
        answer = ask()
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "3"
    assert ask().status_code < 400


def test_refused_export_is_not_in_the_audit(portal: Portal) -> None:
    with all_taken(EXPORT_SLOTS):
        assert portal.program(Role.ADMIN).get("/api/v1/results").status_code == 503
    assert "results.exported" not in [row.action for row in portal.audit()]


def test_label_table_is_not_read_before_it_has_a_slot(portal: Portal) -> None:
    body = io.BytesIO(b"file,label\n")
    with all_taken(TABLE_SLOTS):
        answer = portal.program(Role.READER).post(
            "/api/v1/labels/csv", input_stream=body, content_length=11, content_type="text/csv"
        )
        assert (answer.status_code, body.tell()) == (503, 0)


def _requests(portal: Portal) -> dict[str, tuple[Slots, Callable[[], Any]]]:
    admin, browser = portal.program(Role.ADMIN), portal.app.test_client()
    a_person(portal)
    table = {"data": "file,label\n", "content_type": "text/csv"}
    purge = {"older_than_days": 1, "dry_run": False}
    return {
        "exports": (EXPORT_SLOTS, lambda: admin.get("/api/v1/results")),
        "label tables": (TABLE_SLOTS, lambda: admin.post("/api/v1/labels/csv", **table)),
        "logins": (HASHING, lambda: enter(browser)),
        "purges": (PURGE_SLOTS, lambda: admin.post("/api/v1/purges", json=purge)),
        "checks": (CHECK_SLOTS, lambda: admin.post("/api/v1/audit/check")),
    }


def test_login_that_is_not_checked_is_not_counted(portal: Portal) -> None:
    a_person(portal)
    browser = portal.app.test_client()
    with all_taken(HASHING):
        for _ in range(portal.context.settings.lockout_failures):
            assert enter(browser, password="wrong").status_code == 503
    assert enter(browser).status_code < 400


def test_export_frees_its_slot_when_it_is_not_read(portal: Portal, job: str) -> None:
    client = portal.program()
    for method in (client.head, client.get):
        for _ in range(2 * EXPORT_SLOTS.size):
            answer = method("/api/v1/results", buffered=False)
            assert answer.status_code == 200
            answer.close()


def test_zip_waits_for_its_turn_and_loses_nothing(portal: Portal, a_png: bytes) -> None:
    job = portal.new_job()
    files = ("a.png", a_png), ("b.zip", a_zip(("c.png", a_png[::-1])))
    with all_taken(ARCHIVE_SLOTS):
        assert portal.send(job, *files).status_code == 503
    assert [image.file for image in portal.images()] == ["a.png"]
    assert portal.send(job, *files).status_code == 200
    assert [image.file for image in portal.images()] == ["a.png", "b.zip/c.png"]


def test_nudge_that_would_wait_is_left_to_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(Settings(broker_url="redis://127.0.0.1:1/0"))
    warnings: list[str] = []
    monkeypatch.setattr(
        "worker.enqueue.log.warning", lambda text, *words, extra: warnings.append(text % words)
    )
    with all_taken(SENDING):
        nudge_ingest()
    assert warnings == ["overread.ingest was not nudged, the sweeper will do so: BusyError"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_waiting_for_a_lock_ends(database: Database) -> None:
    with database.sessions() as session:
        assert session.scalar(text("SHOW lock_timeout")) == "30s"
