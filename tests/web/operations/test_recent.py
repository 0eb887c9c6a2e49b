"""Asked once in a while, however many want to know."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from web.operations.health import Recent


def test_of_many_at_once_one_asks() -> None:
    asked = count(1)

    def ask() -> int:
        time.sleep(0.05)
        return next(asked)

    recent = Recent(ask, lasts_s=3600)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: recent.get(), range(32))) == {1}


def test_what_is_old_is_asked_anew() -> None:
    asked = count(1)
    recent = Recent(lambda: next(asked), lasts_s=0.0)
    assert recent.get() == 1
    time.sleep(0.001)
    assert recent.get() == 2
