"""A few threads that do one thing after the other, and die with the command.

An executor's threads are waited for at the end, and one that waits for a large zip to be unpacked
would keep Ctrl-C from ending the command for minutes.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class Lanes(Generic[Given, Made]):
    def __init__(self, work: Callable[[Given], Made], *, number: int, name: str) -> None:
        self._work = work
        self._number = number
        self._tasks: queue.SimpleQueue[tuple[Given, Future[Made]]] = queue.SimpleQueue()
        for _ in range(number):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def in_order(self, given: Iterable[Given]) -> Iterator[tuple[Given, Future[Made]]]:
        """What is under way: a few more than there are lanes are taken from `given` at a time."""
        remaining = iter(given)
        waiting = [self._submit(task) for task in islice(remaining, 2 * self._number)]
        while waiting:
            yield waiting.pop(0)
            waiting += [self._submit(task) for task in islice(remaining, 1)]

    def _submit(self, task: Given) -> tuple[Given, Future[Made]]:
        future: Future[Made] = Future()
        self._tasks.put((task, future))
        return task, future

    def _run(self) -> None:
        while True:
            task, future = self._tasks.get()
            try:
                future.set_result(self._work(task))
            except BaseException as error:
                future.set_exception(error)
