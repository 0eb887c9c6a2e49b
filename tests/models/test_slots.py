"""Slots: no thread waits for slow work without bound."""

import threading
import time
from contextlib import ExitStack

import pytest

from models.slots import BusyError, Slots
from tests.support.servers.service import wait_until


def test_taken_slots_refuse_at_once() -> None:
    slots = Slots("exports", 2)
    with slots.take():
        with slots.take():
            began = time.monotonic()
            with pytest.raises(BusyError, match="busy with other exports; try again"):
                ExitStack().enter_context(slots.take())
            assert time.monotonic() - began < 0.5
        with slots.take():
            pass


def test_some_threads_wait_for_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.slots.WAIT_S", 20.0)
    slots, taken = Slots("logins", 1, waiting=1), threading.Event()

    def take() -> None:
        with slots.take():
            taken.set()

    with ExitStack() as first:
        first.enter_context(slots.take())
        second = threading.Thread(target=take)
        second.start()
        wait_until(lambda: not slots._admitted.acquire(blocking=False), what="the second")
        with pytest.raises(BusyError):
            ExitStack().enter_context(slots.take())
        assert not taken.is_set()
    second.join(timeout=20)
    assert taken.is_set()


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.slots.WAIT_S", 0.01)
    slots = Slots("logins", 1, waiting=1)
    with slots.take(), pytest.raises(BusyError):
        ExitStack().enter_context(slots.take())
    with slots.take():
        pass
