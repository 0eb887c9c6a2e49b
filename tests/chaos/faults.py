"""Faults for a running service.

Each returns what it did. Without a target it returns None, or raises psutil.NoSuchProcess.
"""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
import redis
from sqlalchemy import delete, func, select, update

from cli.lockfile import running_service
from models.base import now
from models.session import AWAY
from models.tables.intake import Image, Prediction, State
from models.tables.workers import Worker
from pipeline.types import PREPROCESSING
from tests.chaos.rig import COMMAND_PARTS, SETTINGS, Rig

Hit = Callable[[Rig, random.Random], str | None]
WORKS_ON = {"ingest": State.RECEIVED, "predict": State.READY}
WAIT_S = 3.0  # how long a fault waits for a target
INGEST_ENDS_WITHIN_S = 120.0
LAST_CLAIM_WITHIN_S = 60.0
RESTARTS_WITHIN_S = 60.0
LAST_IMAGES = 48


@dataclass(frozen=True)
class Fault:
    """share: relative frequency. while_sending: needs a running upload. needs_images: needs images
    that wait. needs_ready: needs images that wait for a predict worker. is_slow: takes many
    seconds, and is left out of short runs.
    """

    name: str
    hit: Hit
    share: int
    database: str = ""  # "": either
    while_sending: bool = False
    needs_images: bool = False
    needs_ready: bool = False
    is_slow: bool = False


def kill(name: str, rig: Rig, choose: random.Random) -> str:
    """A worker mostly while it holds claims; others at any moment."""
    victim = rig.find(name)
    claimed = _wait_until_busy(rig, name) if choose.random() < 0.8 else 0
    time.sleep(choose.uniform(0, 0.05))
    victim.kill()
    return f"{claimed} images claimed" if name in WORKS_ON else "killed"


def kill_decoder(rig: Rig, choose: random.Random) -> str:
    _wait_until_busy(rig, "ingest")
    choose.choice(rig.find_all("decoder")).kill()
    return "killed"


def freeze_decoder(rig: Rig, choose: random.Random) -> str:
    """For good: its pool must notice."""
    choose.choice(rig.find_all("decoder")).suspend()
    return "frozen permanently"


def end(name: str, rig: Rig, choose: random.Random) -> str:
    rig.find(name).terminate()
    return "terminated"


def freeze(name: str, rig: Rig, choose: random.Random) -> str:
    """Sometimes for longer than a lease."""
    victim = rig.find(name)
    _wait_until_busy(rig, name)
    seconds = choose.choice([2, 10])
    with _frozen(victim):
        time.sleep(seconds)
    return f"frozen for {seconds} s"


def freeze_broker(rig: Rig, choose: random.Random) -> str:
    with _frozen(rig.find("broker")):
        time.sleep(choose.uniform(1, 4))
    return "frozen"


def flush_broker(rig: Rig, choose: random.Random) -> str | None:
    """Delete its messages while it runs."""
    service = running_service(rig.data_dir)
    with suppress(redis.RedisError):
        if service is not None:
            with redis.Redis.from_url(service.broker_url) as client:
                client.flushall()
            return "flushed"
    return None


def kill_sender(rig: Rig, choose: random.Random) -> str:
    rig.sender.process.kill()
    return "killed"


def cut_power(rig: Rig, choose: random.Random) -> str:
    """Kill every process at once, including the supervisor; then start the service again."""
    everyone = rig.service.processes()
    everyone[0].suspend()  # it would restart the others
    for process in [*everyone[1:], everyone[0]]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    rig.service.kill()
    rig.service.start()
    return f"{len(everyone)} processes at once"


def fill_disk(rig: Rig, choose: random.Random) -> str | None:
    if not rig.has_disk:
        return None
    ballast = rig.data_dir / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(2**16))
        # Held for a while; what others free in that time stays free.
        time.sleep(choose.uniform(1, 4))
    finally:
        ballast.unlink()
    return "full"


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


def delete_upload(rig: Rig, choose: random.Random) -> str | None:
    path = partial(rig.store.path, area="incoming")
    return _delete(rig, choose, worker="ingest", what="its upload", path=path)


def delete_input(rig: Rig, choose: random.Random) -> str | None:
    path = partial(_input_path, rig)
    return _delete(rig, choose, worker="predict", what="its network input", path=path)


def move_leases(rig: Rig, choose: random.Random) -> str | None:
    """As a step of the clock would: those of running workers lapse, or lie in the far future."""
    worker = choose.choice(sorted(WORKS_ON))
    if not _wait_until_busy(rig, worker):
        return None
    days = choose.choice([-1, 1])
    leased = update(Image).where(Image.leased_until.is_not(None))
    with suppress(*AWAY), rig.sessions.begin() as session:
        session.execute(leased.values(leased_until=now() + timedelta(days=days)))
        return f"{worker}: leases moved by {days:+} day"
    return None


def swap_input(rig: Rig, choose: random.Random) -> str | None:
    """A network input holds another image's bytes; it can be read, and is wrong."""

    def swap(waiting: list[str]) -> str | None:
        found = [path for sha256 in waiting if (path := _input_path(rig, sha256)).exists()]
        if len(found) < 2:
            return None
        target, source = choose.sample(found, 2)
        _write_over(target, source.read_bytes())
        return target.name

    return _harm(rig, "predict", swap)


def damage_upload(rig: Rig, choose: random.Random) -> str | None:
    """Its bytes rot after they were confirmed."""

    def damage(waiting: list[str]) -> str | None:
        for sha256 in choose.sample(waiting, len(waiting)):
            path = rig.store.path(sha256, area="incoming")
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                _write_over(path, content[:-1] + bytes([content[-1] ^ 0xFF]))
                rig.deleted[sha256] = "its upload, damaged"
                return sha256
        return None

    return _harm(rig, "ingest", damage)


def lose_secrets(rig: Rig, choose: random.Random) -> str:
    """No process starts without them; they come back."""
    secrets = rig.data_dir / "secrets.json"
    away = secrets.rename(secrets.with_name("secrets.away"))  # the data folder may be mounted
    try:
        rig.find(choose.choice(["ingest", "predict", "portal"])).kill()
        time.sleep(choose.uniform(1, 3))
        assert not secrets.exists(), "others were made"
    finally:
        away.rename(secrets)
    return "lost and restored"


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


def kill_last_predictor(rig: Rig) -> bool:
    """While it holds images, after ingest has ended: only the sweep can bring these back.

    Images that were predicted are made ready again, so that there are some.
    """
    deadline = time.monotonic() + INGEST_ENDS_WITHIN_S
    while not rig.service.find_all(COMMAND_PARTS["predict"]):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)  # it is about to be started again
    with ExitStack() as stack:
        with rig.sessions.begin() as session:
            session.connection()  # or a process frozen while it writes to SQLite keeps all waiting
            stack.enter_context(_frozen(rig.find("predict")))
        while rig.count()[State.RECEIVED] or rig.sender.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        _make_ready_again(rig)
    is_busy = _wait_until_busy(rig, "predict", within_s=LAST_CLAIM_WITHIN_S) > 0
    rig.find("predict").kill()  # another one, if the first found that it had hung
    _keep_leases_until_restarted(rig)
    return is_busy


def _keep_leases_until_restarted(rig: Rig) -> None:
    """The new worker's first nudge must not find the images free, however late it comes."""
    deadline = time.monotonic() + RESTARTS_WITHIN_S
    killed_at, lease = now(), timedelta(seconds=int(SETTINGS["chunk_time_limit_s"]))
    seen = select(func.max(Worker.seen_at)).where(Worker.role == "predict")
    is_ready = Image.state == State.READY, Image.leased_by.is_not(None)
    with rig.sessions() as session:
        holders = list(session.scalars(select(Image.leased_by).where(*is_ready).distinct()))
    held = update(Image).where(Image.leased_by.in_(holders))
    is_back = False
    while not is_back and time.monotonic() < deadline:
        with suppress(*AWAY), rig.sessions.begin() as session:
            session.execute(held.values(leased_until=now() + lease))
            is_back = (session.scalar(seen) or killed_at) > killed_at
        time.sleep(0.2)


def _make_ready_again(rig: Rig) -> None:
    some = select(Image.sha256).where(Image.state == State.PREDICTED).limit(LAST_IMAGES)
    with rig.sessions.begin() as session:
        hashes = list(session.scalars(some))
        session.execute(delete(Prediction).where(Prediction.sha256.in_(hashes)))
        predicted = Image.sha256.in_(hashes), Image.state == State.PREDICTED
        again = {"state": State.READY, "finished_at": None, "attempts": 0}
        session.execute(update(Image).where(*predicted).values(again))


def _input_path(rig: Rig, sha256: str) -> Path:
    return rig.store.root / "inputs" / PREPROCESSING / sha256[:2] / sha256


def _write_over(path: Path, content: bytes) -> None:
    """In place, as a disk rots; its time stays as it was."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _delete(
    rig: Rig, choose: random.Random, *, worker: str, what: str, path: Callable[[str], Path]
) -> str | None:
    """Delete a file that this worker will need."""

    def delete_one(waiting: list[str]) -> str | None:
        sha256 = choose.choice(waiting)
        with suppress(FileNotFoundError):
            path(sha256).unlink()
            rig.deleted[sha256] = what
            return sha256
        return None

    return _harm(rig, worker, delete_one)


def _harm(rig: Rig, worker: str, change: Callable[[list[str]], str | None]) -> str | None:
    """Change a file of an image that waits for this worker, while it is frozen.

    change: given the hashes of those images, returns that of the changed file, or None.
    """
    with _frozen(rig.find(worker)):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            waiting = _unclaimed(rig, WORKS_ON[worker])
            if waiting and (changed := change(waiting)):
                return changed[:8]
            time.sleep(0.05)
    return None


def _unclaimed(rig: Rig, state: State) -> list[str]:
    free = select(Image.sha256).where(Image.state == state, Image.leased_by.is_(None))
    with suppress(*AWAY), rig.sessions() as session:
        return sorted(session.scalars(free.limit(200)))
    return []


def _wait_until_busy(rig: Rig, name: str, *, within_s: float = WAIT_S) -> int:
    """Return how many images this worker holds then; 0 if it got none in time."""
    if name not in WORKS_ON:
        return 0
    held = select(func.count()).where(
        Image.state == WORKS_ON[name], Image.leased_by.is_not(None), Image.leased_until > now()
    )
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with suppress(*AWAY), rig.sessions() as session:
            if count := session.scalar(held):
                return count
        time.sleep(0.01)
    return 0


@contextmanager
def _frozen(victim: psutil.Process) -> Iterator[None]:
    victim.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            victim.resume()


FAULTS = (
    Fault("predict worker killed", partial(kill, "predict"), 8, needs_ready=True),
    Fault("ingest worker killed", partial(kill, "ingest"), 8),
    Fault("decoder killed", kill_decoder, 5),
    Fault("decoder frozen", freeze_decoder, 3),
    Fault("predict worker frozen", partial(freeze, "predict"), 3, needs_ready=True, is_slow=True),
    Fault("ingest worker frozen", partial(freeze, "ingest"), 3, is_slow=True),
    Fault("broker killed", partial(kill, "broker"), 6),
    Fault("broker flushed", flush_broker, 2),
    Fault("broker frozen", freeze_broker, 2, is_slow=True),
    Fault("beat killed", partial(kill, "beat"), 2),
    Fault("portal killed during upload", partial(kill, "portal"), 4, while_sending=True),
    Fault("portal restarted during upload", partial(end, "portal"), 3, while_sending=True),
    Fault(
        "portal frozen during upload",
        partial(freeze, "portal"),
        2,
        while_sending=True,
        is_slow=True,
    ),
    Fault("sender killed", kill_sender, 2, while_sending=True),
    Fault("power cut", cut_power, 2, is_slow=True),
    Fault("disk full", fill_disk, 4),
    Fault("SQLite locked", lock_sqlite, 4, database="sqlite"),
    Fault("PostgreSQL stopped, fast", partial(stop_postgres, immediate=False), 3, "postgresql"),
    Fault("PostgreSQL stopped, immediate", partial(stop_postgres, immediate=True), 3, "postgresql"),
    Fault("PostgreSQL connections cut", cut_connections, 2, "postgresql"),
    Fault("upload deleted", delete_upload, 3, needs_images=True),
    Fault("network input deleted", delete_input, 3, needs_images=True, needs_ready=True),
    Fault("network input swapped", swap_input, 3, needs_images=True, needs_ready=True),
    Fault("upload damaged", damage_upload, 3, needs_images=True),
    Fault("leases moved by a day", move_leases, 3, needs_images=True),
    Fault("secrets lost and restored", lose_secrets, 2, is_slow=True),
    Fault("PostgreSQL read-only", stop_writes, 2, "postgresql", is_slow=True),
)
