"""Limits of the portal under concurrent requests."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from sqlalchemy import text

from cli.service.processes import portal as portal_program
from models.tables.people import Role
from tests.support.servers.databases import Database, both_databases
from tests.support.servers.service import wait_until
from tests.support.web.portal import Portal
from web.reading.drawing import SLOTS


@pytest.mark.parametrize("rendering", ["display", "overlay.png"])
def test_at_most_three_images_are_rendered_concurrently(
    portal: Portal, a_png: bytes, rendering: str
) -> None:
    portal.send(portal.new_job(), ("a.png", a_png))
    portal.read_all()
    viewer = portal.program(Role.VIEWER)
    with ThreadPoolExecutor(1) as thread:
        with ExitStack() as taken:
            for _ in range(3):
                taken.enter_context(SLOTS)
            assert not SLOTS.acquire(blocking=False)
            fourth = thread.submit(viewer.get, f"/api/v1/images/1/{rendering}")
            wait_until(
                lambda: portal.audit()[0].action == "image.viewed", within_s=20, what="the request"
            )
            with pytest.raises(TimeoutError):
                fourth.result(timeout=0.3)
            small = viewer.get("/api/v1/images/1/thumbnail")
            assert small.status_code == 200, "thumbnails need no decoding"
        assert fourth.result().status_code == 200


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
