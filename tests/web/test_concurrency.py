"""Limits of the portal under concurrent requests."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from cli.service.processes import portal as portal_program
from tests.support.servers.databases import Database, both_databases

HEALTH_THREADS = 2  # see web.http.gunicorn


@both_databases
def test_connection_pool_serves_every_portal_thread(database: Database) -> None:
    command = portal_program(host="127.0.0.1", port=1).command
    number = int(command[command.index("--threads") + 1]) + HEALTH_THREADS
    all_connected = Barrier(number)

    def connect(_: int) -> None:
        with database.sessions() as session:
            session.execute(text("SELECT 1"))
            all_connected.wait(timeout=20)

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(connect, range(number)))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_waiting_for_a_lock_ends(database: Database) -> None:
    with database.sessions() as session:
        assert session.scalar(text("SHOW lock_timeout")) == "30s"
