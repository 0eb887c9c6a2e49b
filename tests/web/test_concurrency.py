"""What the portal does at once: a few pictures, as many database connections as threads."""

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

PICTURES = ("display", "overlay.png")
AT_ONCE = 3


def test_three_pictures_are_drawn_at_once_and_no_more(portal: Portal, a_png: bytes) -> None:
    """Their file is a pipe in which nothing comes: whoever draws it is caught in the midst."""
    portal.send(portal.new_job(), ("a.png", a_png))
    portal.read_all()
    people = [someone(portal, f"viewer {number}") for number in range(AT_ONCE + 3)]
    (image,) = portal.images()
    assert image.stored_sha256 is not None
    path = f"/api/v1/images/{image.id}"
    file = portal.context.store.path(image.stored_sha256)
    with ThreadPoolExecutor(len(people)) as threads, a_pipe_instead_of(file) as pipe:
        asked = [
            threads.submit(person.get, f"{path}/{PICTURES[number % 2]}")
            for number, person in enumerate(people)
        ]
        wait_until(lambda: looks(portal) == len(people), within_s=20, what="all have asked")
        wait_until(lambda: pipe.readers() >= AT_ONCE, within_s=20, what="three draw")
        with pytest.raises(AssertionError, match="a fourth"):
            wait_until(lambda: pipe.readers() > AT_ONCE, within_s=0.3, what="a fourth")
        small = people[0].get(f"{path}/thumbnail")
        assert small.status_code == 200, "what needs no decoding waits for nobody"
    # Three found an empty file, and let the others in.
    assert sorted(one.result().status_code for one in asked) == [200] * 3 + [500] * AT_ONCE


@both_databases
def test_every_thread_of_the_portal_has_a_connection(database: Database) -> None:
    command = portal_program(host="127.0.0.1", port=1).command
    number = int(command[command.index("--threads") + 1])
    all_hold_one = Barrier(number)

    def hold_one(_: int) -> None:
        with database.sessions() as session:
            session.execute(text("SELECT 1"))
            all_hold_one.wait(timeout=20)

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(hold_one, range(number)))


def someone(portal: Portal, name: str) -> FlaskClient:
    """Each one's look is a row of the audit."""
    with portal.database.sessions.begin() as session:
        user = a_user(session, name=name, role=Role.VIEWER)
        token = issue_token(session, user=user, kind="api")
    client = portal.app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def looks(portal: Portal) -> int:
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
    """What this process has open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            yield str(descriptor.readlink())


@contextmanager
def a_pipe_instead_of(path: Path) -> Iterator[Pipe]:
    kept = path.with_suffix(".kept")
    path.rename(kept)
    os.mkfifo(path)
    pipe = Pipe(path)
    try:
        yield pipe
    finally:
        kept.replace(path)
        pipe.close()
