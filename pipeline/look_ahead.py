"""Apply a function to many items in a few threads, results in order, only a little ahead."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    ahead: int | None = None,
    wait: bool = True,
) -> Generator[Result, None, None]:
    """Yield `function(item)` for each item, in order, computed by `threads` threads.

    At most `ahead` items (default: twice the threads) are taken from `items`, in the caller's
    thread, before the first of their results is yielded. An exception of `function` is raised
    in place of its result, one of `items` at once. When the iteration ends, for whatever
    reason, calls that have not started are dropped and running ones are waited for, unless
    `wait` is False: then they end on their own, or with the process (the threads are daemons).
    """
    calls: SimpleQueue[tuple[Future[Result], Item] | None] = SimpleQueue()
    workers = [
        threading.Thread(target=_run, args=(function, calls), name=f"ahead-{number}", daemon=True)
        for number in range(threads)
    ]
    pending: deque[Future[Result]] = deque()
    for worker in workers:
        worker.start()
    try:
        for item in items:
            pending.append(Future())
            calls.put((pending[-1], item))
            if len(pending) >= (ahead or 2 * threads):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in workers:
            calls.put(None)
        for worker in workers if wait else ():
            worker.join()


def _run(
    function: Callable[[Item], Result], calls: "SimpleQueue[tuple[Future[Result], Item] | None]"
) -> None:
    while (call := calls.get()) is not None:
        future, item = call
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(function(item))
        except BaseException as error:
            future.set_exception(error)
