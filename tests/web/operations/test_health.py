"""/healthz, /readyz and /health."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient

from models.config.settings import Settings
from models.operations.heartbeat import record_heartbeat
from models.operations.upgrade import upgrade
from models.session import open_database
from pipeline.inference.version_folder import BASELINE
from tests.support.data.rows import a_version
from tests.support.servers.databases import Database, downgrade
from web.app import create_app
from web.context import KEY
from web.operations.health import KEY as STATES
from web.operations.health import LASTS_S, NEEDED, Recent, states

on_sqlite = pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)


@pytest.fixture
def ready(empty_database: Database, broker_url: str) -> Settings:
    """A complete service with heartbeats of its workers."""
    settings = empty_database.settings.model_copy(
        update={"broker_url": broker_url, "disk_reserve_bytes": 0}
    )
    upgrade(settings)
    for worker in ("ingest", "predict"):
        record_heartbeat(settings.data_dir, worker)
    return settings


def _ask(settings: Settings, path: str = "/readyz") -> tuple[int, Any]:
    app = create_app(settings)
    client: FlaskClient = app.test_client()
    answer = client.get(path)
    app.extensions[KEY].sessions.engine.dispose()
    return answer.status_code, answer.json


def _down(settings: Settings) -> tuple[int, set[str]]:
    status, words = _ask(settings)
    assert set(words.values()) <= {"up", "down"}
    return status, {part for part, word in words.items() if word == "down"}


def test_readyz_reports_every_part_up(ready: Settings) -> None:
    status, words = _ask(ready)
    assert (status, words.pop("status")) == (200, "up")
    assert words == dict.fromkeys((*NEEDED, "disk", "ingest_worker", "predict_worker"), "up")


def test_readyz_names_missing_parts(ready: Settings) -> None:
    no_broker = ready.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    assert _down(no_broker) == (503, {"status", "broker"})
    health = {"status": "unhealthy", "database": True, "broker": False}
    assert _ask(no_broker, "/health") == (503, health)
    with open_database(ready) as sessions:
        downgrade(sessions.engine, "0003")
    assert _down(ready) == (503, {"status", "tables"})


@on_sqlite
def test_readyz_reports_missing_network_files(ready: Settings, empty_database: Database) -> None:
    folder = ready.data_dir / "networks" / "ours"
    shutil.copytree(BASELINE, folder)
    with empty_database.sessions.begin() as session:
        version = a_version(session, name="ours")
        version.folder = str(folder.relative_to(ready.data_dir))
    assert _down(ready) == (200, set())
    (folder / "network.bin").unlink()
    assert _down(ready) == (503, {"status", "model_version"})


@on_sqlite
def test_heartbeat_of_the_future_is_none(ready: Settings) -> None:
    """The clock was set back after the worker's last one."""
    tomorrow = time.time() + 24 * 3600
    os.utime(ready.data_dir / "workers" / "ingest", (tomorrow, tomorrow))
    assert _down(ready) == (200, {"ingest_worker"})


def test_readyz_stays_200_with_full_disk_or_missing_workers(ready: Settings) -> None:
    """Results can still be read, and uploads wait."""
    (ready.data_dir / "workers" / "predict").unlink()
    full = ready.model_copy(update={"disk_reserve_bytes": 2**60})
    assert _down(full) == (200, {"disk", "predict_worker"})


@on_sqlite
def test_readyz_reports_an_unreachable_database(ready: Settings) -> None:
    gone = ready.model_copy(
        update={"database_url": "postgresql+psycopg://nobody:secret@127.0.0.1:1/gone"}
    )
    status, down = _down(gone)
    assert (status, down) == (503, {"status", "database", "tables", "model_version"})
    assert _ask(gone, "/healthz") == (200, {"status": "up"})
    assert _ask(gone, "/health")[0] == 503


@on_sqlite
def test_readyz_reports_an_unwritable_store_once_its_cache_is_over(ready: Settings) -> None:
    app = create_app(ready)
    app.extensions[STATES] = Recent(lambda: states(app.extensions[KEY]), lasts_s=3600)
    client: FlaskClient = app.test_client()
    before = client.get("/readyz").json
    shutil.rmtree(ready.files_dir, ignore_errors=True)
    ready.files_dir.write_text("not a folder")
    assert client.get("/readyz").json == before
    assert client.get("/health").status_code == 200
    app.extensions[KEY].sessions.engine.dispose()
    assert LASTS_S <= 1.0
    assert _down(ready) == (503, {"status", "files"})


def test_recent_asks_once_in_its_time() -> None:
    asked = count(1)

    def ask() -> int:
        time.sleep(0.05)
        return next(asked)

    recent = Recent(ask, lasts_s=3600)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: recent.get(), range(32))) == {1}
    soon_over = Recent(lambda: next(asked), lasts_s=0.0)
    assert soon_over.get() == 2
    time.sleep(0.001)
    assert soon_over.get() == 3
