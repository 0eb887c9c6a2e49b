"""Work that goes on in the background, in order and never far ahead."""

from collections.abc import Iterator
from itertools import count, islice

import pytest

from cli.submit.send import Lanes


def test_results_come_in_order_and_no_more_is_taken_than_is_under_way() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    lanes: Lanes[int, int] = Lanes(lambda number: number * number, number=2, name="test")
    results = [future.result() for _, future in islice(lanes.in_order(endless()), 10)]

    assert results == [number * number for number in range(10)]
    assert len(taken) <= 10 + 2 * 2


def test_an_error_belongs_to_its_task() -> None:
    lanes: Lanes[int, float] = Lanes(lambda number: 1 / number, number=1, name="test")
    (_, first), (_, second), (_, third) = lanes.in_order([1, 0, 2])

    assert (first.result(), third.result()) == (1.0, 0.5)
    with pytest.raises(ZeroDivisionError):
        second.result()
