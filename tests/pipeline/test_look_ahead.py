import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.look_ahead import map_ahead


def counting(taken: list[int], total: int = 1000) -> Iterator[int]:
    for number in range(total):
        taken.append(number)
        yield number


def test_map_ahead_keeps_order_when_later_items_finish_first() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(map_ahead(slow_first, range(20), threads=4)) == [n * n for n in range(20)]


def test_map_ahead_takes_a_bounded_number_of_items() -> None:
    taken: list[int] = []
    results = map_ahead(str, counting(taken), threads=2, ahead=5)
    assert not taken
    assert next(results) == "0"
    assert len(taken) == 5
    results.close()
    assert len(taken) == 5


def test_map_ahead_raises_an_exception_in_place_of_its_result() -> None:
    results = map_ahead(lambda number: 1 // number, [1, 1, 0, 1], threads=2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("wait", [True, False])
def test_map_ahead_drops_waiting_calls_when_closed(wait: bool) -> None:
    may_end, running, ended = threading.Event(), threading.Event(), []

    def call(number: int) -> int:
        if number:
            running.set()
            may_end.wait(30)
        ended.append(number)
        return number

    results = map_ahead(call, range(10), threads=2, ahead=8, wait=wait)
    assert next(results) == 0
    running.wait(30)
    if wait:
        threading.Timer(0.1, may_end.set).start()
    results.close()
    assert set(ended) <= {0, 1, 2}
    assert (1 in ended) == wait
    may_end.set()


def test_map_ahead_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    assert list(map_ahead(str, [], threads=3)) == []
    assert list(map_ahead(str, range(5), threads=3)) == list("01234")
    assert set(threading.enumerate()) <= before
