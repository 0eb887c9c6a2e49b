"""Limits of the portal under concurrent requests."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from cli.service.processes import portal as portal_program
from models.people.tokens import issue_token
from models.tables.people import Role
from tests.support.data.rows import a_user
from tests.support.servers.databases import Database, both_databases
from tests.support.servers.service import wait_until
from tests.support.web.portal import Portal

RENDERINGS = ("display", "overlay.png")
CONCURRENT = 3


def test_at_most_three_images_are_rendered_concurrently(portal: Portal, a_png: bytes) -> None:
    """The file is replaced by an empty pipe, so that rendering blocks."""
    portal.send(portal.new_job(), ("a.png", a_png))
    portal.read_all()
    viewers = [a_viewer(portal, f"viewer {number}") for number in range(CONCURRENT + 3)]
    (image,) = portal.images()
    assert image.stored_sha256 is not None
    path = f"/api/v1/images/{image.id}"
    file = portal.context.store.path(image.stored_sha256)
    with ThreadPoolExecutor(len(viewers)) as threads, replaced_by_pipe(file) as pipe:
        requests = [
            threads.submit(viewer.get, f"{path}/{RENDERINGS[number % 2]}")
            for number, viewer in enumerate(viewers)
        ]
        wait_until(lambda: views(portal) == len(viewers), within_s=20, what="all requests")
        wait_until(lambda: pipe.readers() >= CONCURRENT, within_s=20, what="three renderings")
        with pytest.raises(AssertionError, match="a fourth"):
            wait_until(lambda: pipe.readers() > CONCURRENT, within_s=0.3, what="a fourth")
        small = viewers[0].get(f"{path}/thumbnail")
        assert small.status_code == 200, "thumbnails need no decoding"
    # The first three read an empty file; then the others are served.
    assert (
        sorted(request.result().status_code for request in requests)
        == [200] * 3 + [500] * CONCURRENT
    )


@both_databases
def test_connection_pool_serves_every_portal_thread(database: Database) -> None:
    command = portal_program(host="127.0.0.1", port=1).command
    number = int(command[command.index("--threads") + 1])
    all_connected = Barrier(number)

    def connect(_: int) -> None:
        with database.sessions() as session:
            session.execute(text("SELECT 1"))
            all_connected.wait(timeout=20)

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(connect, range(number)))


def a_viewer(portal: Portal, name: str) -> FlaskClient:
    """A user of their own, since views are audited once per user."""
    with portal.database.sessions.begin() as session:
        user = a_user(session, name=name, role=Role.VIEWER)
        return portal.client_with(issue_token(session, user=user, kind="api"))


def views(portal: Portal) -> int:
    return sum(row.action == "image.viewed" for row in portal.audit())


class Pipe:
    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._descriptor = os.open(path, os.O_RDWR)  # so that no reader waits for a writer

    def readers(self) -> int:
        return sum(link == self._path for link in links()) - 1

    def close(self) -> None:
        os.close(self._descriptor)


def links() -> Iterator[str]:
    """Open files of this process."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            yield str(descriptor.readlink())


@contextmanager
def replaced_by_pipe(path: Path) -> Iterator[Pipe]:
    kept = path.with_suffix(".kept")
    path.rename(kept)
    os.mkfifo(path)
    pipe = Pipe(path)
    try:
        yield pipe
    finally:
        kept.replace(path)
        pipe.close()
