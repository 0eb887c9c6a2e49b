"""/healthz, /readyz and /health."""

import shutil
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from models.base import now
from models.config.settings import Settings
from models.operations.heartbeat import LATE_AFTER_S, ROLES, Vitals, record_heartbeat
from models.operations.upgrade import upgrade
from models.session import open_database
from models.tables.installation import Installation
from models.tables.workers import Problem, Worker
from pipeline.inference.version_folder import BASELINE
from tests.support.data.rows import a_version
from tests.support.servers.databases import Database, downgrade, open_session
from web.app import create_app
from web.context import KEY
from web.readiness import NEEDED, PARTS, Readiness, States, why_waiting

on_sqlite = pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)


@pytest.fixture
def ready(empty_database: Database, broker_url: str) -> Settings:
    """A complete service with heartbeats of its workers."""
    settings = empty_database.settings.model_copy(
        update={"broker_url": broker_url, "disk_reserve_bytes": 0}
    )
    upgrade(settings)
    for role in ROLES:
        _beat(settings, role)
    return settings


def _beat(settings: Settings, role: str, *, name: str = "", **vitals: Any) -> None:
    with open_session(settings) as session:
        record_heartbeat(session, role, name=name, vitals=Vitals(**vitals))


def _ask(settings: Settings, path: str = "/readyz") -> tuple[int, Any]:
    app = create_app(settings)
    client: FlaskClient = app.test_client()
    answer = client.get(path)
    app.extensions[KEY].sessions.engine.dispose()
    return answer.status_code, answer.json


def _down(settings: Settings) -> tuple[int, dict[str, str]]:
    """The status, and the reasons of the parts that are down."""
    status, words = _ask(settings)
    reasons = words.pop("reasons")
    assert words.pop("status") == ("up" if status == 200 else "down")
    assert words == {part: "down" if part in reasons else "up" for part in PARTS}
    return status, reasons


def test_readyz_reports_every_part_up(ready: Settings) -> None:
    assert _down(ready) == (200, {})


def test_readyz_names_missing_parts(ready: Settings) -> None:
    no_broker = ready.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    assert _down(no_broker) == (503, {"broker": "no-answer"})
    health = {"status": "unhealthy", "database": True, "broker": False}
    assert _ask(no_broker, "/health") == (503, health)
    with open_database(ready) as sessions:
        downgrade(sessions.engine, "0003")
    status, reasons = _down(ready)
    assert (status, reasons["tables"]) == (503, "other-release")


@on_sqlite
def test_readyz_reports_a_version_that_cannot_be_opened(ready: Settings) -> None:
    folder = ready.data_dir / "networks" / "ours"
    shutil.copytree(BASELINE, folder)
    with open_session(ready) as session:
        version = a_version(session, name="ours")
        version.folder = str(folder.relative_to(ready.data_dir))
    assert _down(ready) == (200, {})
    _beat(ready, "predict", problem=Problem.VERSION)
    found = 503, {"model_version": "cannot-open-version"}
    assert _down(ready) == found, "the worker says so"
    _beat(ready, "predict")
    (folder / "network.bin").unlink()
    assert _down(ready) == found


@on_sqlite
def test_readyz_reports_what_keeps_a_worker_from_its_work(ready: Settings) -> None:
    _beat(ready, "ingest", problem=Problem.TASKS)
    assert _down(ready) == (503, {"ingest_worker": "tasks-fail"})
    _beat(ready, "ingest", name="ingest@another", problem=None)
    assert _down(ready) == (200, {}), "another one works"


@on_sqlite
@pytest.mark.parametrize("step", [-1, 1])
def test_readyz_reports_workers_without_a_heartbeat(ready: Settings, step: int) -> None:
    """In the future: the clock was set back since."""
    with open_session(ready) as session:
        moment = now() + step * timedelta(seconds=LATE_AFTER_S + 1)
        session.execute(update(Worker).where(Worker.role == "predict").values(seen_at=moment))
    assert _down(ready) == (503, {"predict_worker": "no-heartbeat"})


@on_sqlite
def test_readyz_stays_200_with_a_nearly_full_disk(ready: Settings) -> None:
    """Uploads are refused, but what has arrived is predicted."""
    full = ready.model_copy(update={"disk_reserve_bytes": 2**60})
    assert _down(full) == (200, {"disk": "nearly-full"})


@on_sqlite
def test_readyz_reports_an_unreachable_database(ready: Settings) -> None:
    gone = ready.model_copy(
        update={"database_url": "postgresql+psycopg://nobody:secret@127.0.0.1:1/gone"}
    )
    status, reasons = _down(gone)
    assert (status, reasons["database"]) == (503, "no-answer")
    assert _ask(gone, "/healthz") == (200, {"status": "up"})
    assert _ask(gone, "/health")[0] == 503


def _configure(database: Database, *statements: str) -> None:
    """With the database's own name for `{name}`; for connections from now on."""
    with database.engine.connect() as connection:
        administering = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            name = f'"{database.engine.url.database}"'
            administering.exec_driver_sql(statement.format(name=name))


@on_postgresql
def test_readyz_reports_a_read_only_server(ready: Settings, empty_database: Database) -> None:
    """As a standby: it can be read, and every write fails."""
    _configure(empty_database, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert _down(ready) == (503, {"database_writes": "not-writable"})
    assert _ask(ready, "/health")[0] == 200


@on_postgresql
def test_readyz_reports_revoked_rights(ready: Settings, empty_database: Database) -> None:
    """As after an administrator's mistake; the server responds all the same."""
    _configure(
        empty_database,
        "CREATE ROLE limited",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited",
        "ALTER DATABASE {name} SET role = limited",
    )
    assert _down(ready) == (503, {"database_writes": "no-rights"})
    _configure(empty_database, "RESET ROLE", "DROP OWNED BY limited")
    status, reasons = _down(ready)
    assert (status, set(reasons.values())) == (503, {"no-rights"})
    assert set(reasons) == {*NEEDED} - {"files", "broker"}
    app = create_app(ready)
    answer = app.test_client().get("/api/v1/jobs", headers={"Authorization": "Bearer a-b_c"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "the database refuses access" in answer.text
    app.extensions[KEY].close()
    _configure(
        empty_database, "RESET ROLE", "ALTER DATABASE {name} RESET role", "DROP ROLE limited"
    )


@on_sqlite
def test_readyz_reports_a_database_that_another_writer_holds(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(ready)
    context = app.extensions[KEY]
    monkeypatch.setattr("web.readiness.is_broker_up", lambda: True)
    monkeypatch.setattr("web.readiness.PATIENCE_S", 0.5)
    with context.sessions.begin() as session:
        session.execute(text("SELECT 1"))
        reasons = Readiness(context).states().reasons
    context.sessions.engine.dispose()
    assert reasons == {"database_writes": "no-answer"}


@on_sqlite
def test_database_of_another_installation_is_named(
    ready: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as starting:  # the portal starts while its database is away
        starting.setattr("models.installation.check_secrets", lambda *_, **__: False)
        app = create_app(ready)
    with open_database(ready) as sessions, sessions.begin() as session:
        session.execute(update(Installation).values(key_fingerprint="another"))
    client = app.test_client()
    reasons = client.get("/readyz").json["reasons"]
    assert reasons["database"] == reasons["database_writes"] == "other-installation"
    for path in ("/api/v1/jobs", "/"):
        answer = client.get(path, headers={"Authorization": "Bearer a-b_c"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "service is not set up correctly" in answer.text
    assert "secrets.json is of another installation than the database" in caplog.text
    app.extensions[KEY].close()


@on_sqlite
def test_readyz_reports_a_store_that_is_away_and_does_not_make_another(ready: Settings) -> None:
    away = ready.files_dir.rename(ready.data_dir / "elsewhere")
    assert _down(ready) == (503, {"files": "missing"})
    assert not ready.files_dir.exists()
    ready.files_dir.mkdir()  # the place where its disk is mounted
    assert _down(ready) == (503, {"files": "missing"})
    ready.files_dir.rmdir()
    ready.files_dir.write_text("not a folder")
    assert _down(ready)[0] == 503
    ready.files_dir.unlink()
    away.rename(ready.files_dir)
    assert _down(ready) == (200, {})


@on_sqlite
def test_readyz_answers_while_a_part_hangs(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network drive that is gone blocks whoever touches it."""
    over = threading.Event()
    monkeypatch.setattr("web.readiness._check_disk", lambda _: over.wait(60) and {})
    monkeypatch.setattr("web.readiness.is_broker_up", lambda: True)  # slow when first imported
    monkeypatch.setattr("web.readiness.PATIENCE_S", 0.5)
    app = create_app(ready)
    readiness = Readiness(app.extensions[KEY])
    before = threading.active_count()
    readiness.states()
    began = time.monotonic()
    for _ in range(20):
        assert readiness.states().reasons == {"files": "no-answer", "disk": "no-answer"}
    assert time.monotonic() - began < 5.0, "only the first one waits"
    assert threading.active_count() <= before + 1, "one thread waits, however often it is asked"
    over.set()
    app.extensions[KEY].sessions.engine.dispose()


Case = tuple[dict[str, str], dict[str, int], str]
WAITING: tuple[Case, ...] = (
    ({}, {"received": 1, "ready": 1}, ""),
    ({"disk": "nearly-full"}, {"received": 1, "ready": 1}, ""),
    ({"broker": "no-answer"}, {"received": 0, "ready": 0}, ""),
    ({"broker": "no-answer"}, {"received": 1, "ready": 0}, "the broker does not respond"),
    ({"ingest_worker": "no-heartbeat"}, {"received": 0, "ready": 1}, ""),
    (
        {"ingest_worker": Problem.DECODERS},
        {"received": 1, "ready": 0},
        "the decoders do not start",
    ),
    (
        {"predict_worker": Problem.TASKS, "model_version": Problem.VERSION},
        {"received": 0, "ready": 1},
        "the live version cannot be opened (version baseline-2)",
    ),
    (
        {"predict_worker": Problem.TASKS},
        {"received": 0, "ready": 1},
        "every task of the predict worker fails",
    ),
)


@pytest.mark.parametrize(("reasons", "images", "clause"), WAITING)
def test_why_waiting_names_the_cause(
    reasons: dict[str, str], images: dict[str, int], clause: str
) -> None:
    ordered = {part: reasons[part] for part in PARTS if part in reasons}
    states = States(ordered, "baseline-2")
    found = why_waiting(states, received=images["received"], ready=images["ready"])
    expected = f"images wait: {clause}; tell the operator" if clause else None
    assert (found.message if found else None) == expected


def test_every_needed_part_keeps_images_waiting() -> None:
    for part in set(NEEDED) - {"tables"}:
        assert why_waiting(States({part: "no-answer"}), received=1, ready=1) is not None


def test_received_images_do_not_wait_for_predict_in_one_step() -> None:
    states = States({"predict_worker": "no-answer"})
    assert why_waiting(states, received=1, ready=0, one_step=True) is None
    assert why_waiting(states, received=1, ready=1, one_step=True) is not None
    assert why_waiting(states, received=1, ready=0) is not None
