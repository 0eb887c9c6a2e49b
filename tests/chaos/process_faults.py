"""Faults of processes: killed, ended or frozen.

Each returns what it did. Without a target it returns None, or raises psutil.NoSuchProcess.
"""

import random
import time
from contextlib import ExitStack, suppress
from datetime import timedelta

import psutil
import redis
from sqlalchemy import delete, func, select, update

from cli.lockfile import running_service
from models.base import now
from models.session import AWAY
from models.tables.intake import Image, Prediction, State
from models.tables.workers import Worker
from tests.chaos.rig import (
    COMMAND_PARTS,
    SETTINGS,
    WORKS_ON,
    Rig,
    frozen,
    wait_until_busy,
)

INGEST_ENDS_WITHIN_S = 120.0
LAST_CLAIM_WITHIN_S = 60.0
RESTARTS_WITHIN_S = 60.0
LAST_IMAGES = 48


def kill(name: str, rig: Rig, choose: random.Random) -> str:
    """A worker mostly while it holds claims; others at any moment."""
    victim = rig.find(name)
    claimed = wait_until_busy(rig, name) if choose.random() < 0.8 else 0
    time.sleep(choose.uniform(0, 0.05))
    victim.kill()
    return f"{claimed} images claimed" if name in WORKS_ON else "killed"


def kill_decoder(rig: Rig, choose: random.Random) -> str:
    wait_until_busy(rig, "ingest")
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
    wait_until_busy(rig, name)
    seconds = choose.choice([2, 10])
    with frozen(victim):
        time.sleep(seconds)
    return f"frozen for {seconds} s"


def freeze_broker(rig: Rig, choose: random.Random) -> str:
    with frozen(rig.find("broker")):
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
            stack.enter_context(frozen(rig.find("predict")))
        while rig.count()[State.RECEIVED] or rig.sender.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        _make_ready_again(rig)
    is_busy = wait_until_busy(rig, "predict", within_s=LAST_CLAIM_WITHIN_S) > 0
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
