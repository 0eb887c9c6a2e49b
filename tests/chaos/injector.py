"""Injects faults at random moments, in random order, while a job is processed."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice

import psutil

from models.base import now
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.rig import Rig

SENT_BY = 0.8  # after this share of faults the sender may have sent everything
VERY_EARLY = 0.4  # those that need waiting images, which few files have soon left
EARLY = 0.7  # faults during the upload are among this first share of all faults
AHEAD = 0.1
PAUSES_S = (0.3, 2.0)
MAX_POSTPONED = 3  # per kind of fault; then it has no target left


@dataclass(frozen=True)
class Injection:
    fault: str
    at: datetime


def plan(
    count: int, *, database: str, one_step: bool, has_disk: bool, choose: random.Random
) -> list[Fault]:
    """Return `count` faults, each kind at least once if possible, those of the upload early."""
    kinds = [f for f in FAULTS if f.database in ("", database)]
    kinds = [f for f in kinds if not (f.needs_ready and one_step)]
    kinds = [f for f in kinds if has_disk or f.name != "disk full"]
    if count < len(kinds):
        kinds = [f for f in kinds if not f.is_slow]
    more = [fault for fault in kinds for _ in range(fault.share - 1)]
    choose.shuffle(kinds)
    choose.shuffle(more)
    planned = list(islice(cycle([*kinds, *more]), count))
    choose.shuffle(planned)
    early = [fault for fault in planned if fault.while_sending or fault.needs_images]
    order = [fault for fault in planned if fault not in early]
    for fault in early:
        last = round((EARLY if fault.while_sending else VERY_EARLY) * count)
        order.insert(choose.randrange(min(last, len(order)) + 1), fault)
    return order


def inject(
    rig: Rig, faults: Sequence[Fault], *, images: int, choose: random.Random
) -> list[Injection]:
    planned, postponed = list(faults), Counter[str]()
    injections: list[Injection] = []
    with _slowing_sender(rig, injections, faults=max(1, len(faults)), images=images):
        while planned:
            time.sleep(choose.uniform(*PAUSES_S))
            fault, at = planned.pop(0), now()
            what = _hit(fault, rig, choose)
            rig.note_processes()
            if what is not None:
                injections.append(Injection(fault.name, at))
                rig.say(f"{fault.name}: {what}")
            elif postponed[fault.name] < MAX_POSTPONED:
                postponed[fault.name] += 1
                planned.insert(2, fault)
    return injections


def _hit(fault: Fault, rig: Rig, choose: random.Random) -> str | None:
    if fault.while_sending and not rig.sender.is_alive():
        return None
    try:
        return fault.hit(rig, choose)
    except psutil.NoSuchProcess:
        return None


@contextmanager
def _slowing_sender(
    rig: Rig, injections: Sequence[Injection], *, faults: int, images: int
) -> Iterator[None]:
    """Keep it only slightly ahead of the faults, so that images wait for the workers and the job
    lasts as long as there are faults.
    """
    is_over = threading.Event()

    def hold(is_held: bool) -> None:
        with suppress(psutil.NoSuchProcess):
            rig.sender.process.suspend() if is_held else rig.sender.process.resume()

    def watch() -> None:
        while not is_over.wait(0.05):
            done = len(injections) / (SENT_BY * faults)
            hold(sum(rig.count().values()) / images > done + AHEAD)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        hold(False)
