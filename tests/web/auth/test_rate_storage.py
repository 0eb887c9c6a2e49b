"""Rate limits by address: a window ends, whatever the clock does."""

import time

import pytest
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from web.auth.credentials import SteadyStorage


def test_window_ends_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = storage_from_string("steady://")
    assert isinstance(storage, SteadyStorage)
    limiter, twice = FixedWindowRateLimiter(storage), parse("2 per minute")
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 24 * 3600)
    assert [limiter.hit(twice, "an address") for _ in range(3)] == [True, True, False]
    monkeypatch.undo()
    assert [limiter.hit(twice, "an address") for _ in range(3)] == [True, True, False]
