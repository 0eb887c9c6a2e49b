"""Faults of the database and of its rows. Each returns what it did, None without a target."""

import random
import sqlite3
import time
from contextlib import closing, suppress
from datetime import timedelta

import psycopg
from sqlalchemy import update

from models.base import now
from models.session import AWAY
from models.tables.intake import Image
from tests.chaos.rig import (
    WAIT_S,
    WORKS_ON,
    Rig,
    wait_until_busy,
)


def lock_sqlite(rig: Rig, choose: random.Random) -> str | None:
    """Another writer holds the database for a while."""
    path = rig.data_dir / "overread.sqlite3"
    with closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return None
        time.sleep(choose.uniform(1, 4))
        connection.execute("ROLLBACK")
    return "locked"


def stop_postgres(rig: Rig, choose: random.Random, *, immediate: bool) -> str:
    assert rig.postgres is not None
    rig.postgres.halt(immediate=immediate)
    seconds = choose.uniform(0.3, 5)
    time.sleep(seconds)
    rig.postgres.start()
    return f"down for {seconds:.1f} s"


def cut_connections(rig: Rig, choose: random.Random) -> str:
    assert rig.postgres is not None
    with psycopg.connect(rig.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    return "cut"


def stop_writes(rig: Rig, choose: random.Random) -> str:
    """The server becomes a standby for a while: everything can be read, nothing written."""
    assert rig.postgres is not None
    with psycopg.connect(rig.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(choose.uniform(1, 4))
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
    return "read-only"


def move_leases(rig: Rig, choose: random.Random) -> str | None:
    """As a step of the clock would: those of running workers lapse, or lie in the far future."""
    worker = choose.choice(sorted(WORKS_ON))
    if not wait_until_busy(rig, worker):
        return None
    days = choose.choice([-1, 1])
    leased = update(Image).where(Image.leased_until.is_not(None))
    with suppress(*AWAY), rig.sessions.begin() as session:
        session.execute(leased.values(leased_until=now() + timedelta(days=days)))
        return f"{worker}: leases moved by {days:+} day"
    return None
