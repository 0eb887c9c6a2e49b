from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import FileSystemBytecodeCache

from tests.support.data.builders import make_dicom, make_png
from tests.support.servers.databases import Database
from tests.support.web.portal import Portal
from tests.support.web.sender import Sender
from web.app import create_app
from web.context import KEY


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
def a_png(tmp_path: Path) -> bytes:
    return make_png(tmp_path / "image.png").read_bytes()


@pytest.fixture
def a_dicom(tmp_path: Path) -> bytes:
    return make_dicom(tmp_path / "image.dcm").read_bytes()
