from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import select

from models.people.tokens import issue_token
from models.tables.people import Token
from tests.support.data.builders import make_dicom, make_png
from tests.support.data.nights import a_night, a_snapshot
from tests.support.data.rows import a_term, a_user, a_version
from tests.support.servers.databases import Database
from tests.support.web.portal import Portal
from tests.support.web.sender import Sender
from web.app import create_app
from web.context import KEY
from worker.enqueue import connect


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Compiled templates, shared by the portals of all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture(autouse=True)
def _decoders_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise those of all tests would run until the end."""
    monkeypatch.setattr("web.reading.renderer.IDLE_S", 2.0)


@pytest.fixture
def portal(database: Database, compiled: FileSystemBytecodeCache) -> Iterator[Portal]:
    app = create_app(database.settings)
    app.testing = True
    app.jinja_env.bytecode_cache = compiled
    app.config["PROPAGATE_EXCEPTIONS"] = False  # errors become pages, as in service
    context = app.extensions[KEY]
    yield Portal(database, app, context)
    context.sessions.engine.dispose()  # a server waits for its connections before it stops


@pytest.fixture
def sender(portal: Portal) -> Sender:
    return Sender(portal, portal.program(), portal.new_job())


@pytest.fixture
def job(portal: Portal, a_dicom: bytes, a_png: bytes) -> str:
    """A job with two predicted images."""
    job = portal.new_job("the archive")
    portal.send(job, ("d/a.dcm", a_dicom), ("d/b.png", a_png))
    portal.read_all(probability=0.87)
    return job


@pytest.fixture
def five_studies(portal: Portal, a_png: bytes) -> None:
    """Studies 1 to 5, each of a job of its own and less suspicious than the one before."""
    for number in range(5):
        portal.send(portal.new_job(), (f"{number}/a.png", a_png + b"%d" % number))
        portal.read_all(probability=0.9 - number / 10)


@pytest.fixture
def a_png(tmp_path: Path) -> bytes:
    return make_png(tmp_path / "image.png").read_bytes()


@pytest.fixture
def a_dicom(tmp_path: Path) -> bytes:
    return make_dicom(tmp_path / "image.dcm").read_bytes()


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
            "term_id": a_term(session).id,
        }
