"""Injects faults at random moments, in random order, while a job is processed."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice

import psutil

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.rig import Rig

SENT_BY = 0.8  # after this share of faults the sender may have sent everything
EARLY = 0.7  # faults during the upload are among this first share of all faults
AHEAD = 0.1
PAUSES_S = (0.3, 2.0)
MAX_POSTPONED = 10  # per kind of fault; then it has no target left


@dataclass(frozen=True)
class Injection:
    """at: seconds since the epoch. what: its target or effect."""

    fault: str
    at: float
    took_s: float
    what: str


def plan(count: int, *, database: str, has_disk: bool, choose: random.Random) -> list[Fault]:
    """Return `count` faults, each kind at least once if possible, those of the upload early."""
    kinds = [f for f in FAULTS if f.database in ("", database)]
    kinds = [f for f in kinds if has_disk or f.name != "disk full"]
    if count < len(kinds):
        kinds = [f for f in kinds if not f.is_slow]
    more = [fault for fault in kinds for _ in range(fault.share - 1)]
    choose.shuffle(kinds)
    choose.shuffle(more)
    planned = list(islice(cycle([*kinds, *more]), count))
    choose.shuffle(planned)
    last = round(EARLY * count)
    order = [fault for fault in planned if not fault.while_sending]
    for fault in planned:
        if fault.while_sending:
            order.insert(choose.randrange(min(last, len(order)) + 1), fault)
    return order


class Injector:
    """Slows the sender down so that the job lasts as long as there are faults."""

    def __init__(self, rig: Rig, faults: Sequence[Fault], *, total: int, choose: random.Random):
        self._rig, self._total, self._choose = rig, total, choose
        self._planned = list(faults)
        self._count = max(1, len(faults))
        self._postponed: dict[str, int] = {}
        self.injections: list[Injection] = []

    def run(self, say: Callable[[str], None]) -> None:
        with self._slowing_sender():
            while self._planned:
                time.sleep(self._choose.uniform(*PAUSES_S))
                fault = self._planned.pop(0)
                began, at = time.monotonic(), time.time()
                what = self._hit(fault)
                self._rig.note_processes()
                if what is None:
                    self._postpone(fault)
                    continue
                self.injections.append(Injection(fault.name, at, time.monotonic() - began, what))
                say(f"{fault.name}: {what}")

    def _hit(self, fault: Fault) -> str | None:
        sender = self._rig.sender
        if fault.while_sending and not (sender and sender.is_sending):
            return None
        try:
            return fault.hit(self._rig, self._choose)
        except psutil.NoSuchProcess:
            return None

    def _postpone(self, fault: Fault) -> None:
        times = self._postponed[fault.name] = self._postponed.get(fault.name, 0) + 1
        if times <= MAX_POSTPONED:
            self._planned.insert(min(2, len(self._planned)), fault)

    @contextmanager
    def _slowing_sender(self) -> Iterator[None]:
        """It may be slightly ahead of the faults, so that images wait for the workers."""
        over = threading.Event()

        def hold() -> None:
            while not over.wait(0.05):
                done = len(self.injections) / (SENT_BY * self._count)
                arrived = sum(self._rig.count().values()) / self._total
                self._hold_sender(arrived > done + AHEAD)

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._hold_sender(False)

    def _hold_sender(self, is_held: bool) -> None:
        pid = self._rig.sender.pid if self._rig.sender else None
        if pid is None:
            return
        try:
            sender = psutil.Process(pid)
            sender.suspend() if is_held else sender.resume()
        except psutil.NoSuchProcess:
            return
