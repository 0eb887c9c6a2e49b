"""Kill a process at one chosen point: before a commit, or before it changes the disk."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from models.session import Sessions

KillPoint = Callable[[str, tuple[Any, ...]], bool]  # gets an audit event's name and arguments
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "sqlite3.connect"}


class KilledError(BaseException):
    """Caught by no product code, so that what was not committed is lost."""


@contextmanager
def killed_at_commit(sessions: Sessions, *, number: int) -> Iterator[None]:
    """Raise KilledError just before that commit of this thread, counted from 1."""
    left, thread = iter(range(number - 1)), threading.get_ident()

    def kill(_: Connection) -> None:
        if threading.get_ident() == thread and next(left, None) is None:
            raise KilledError

    event.listen(sessions.kw["bind"], "commit", kill)
    try:
        yield
    finally:
        event.remove(sessions.kw["bind"], "commit", kill)


def is_killed(work: Callable[[], object], *, at: KillPoint) -> bool:
    """Run `work` in a child process; return whether it was killed before it ended."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(lambda event, arguments: _kill_if(event, arguments, at))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def after_changes(number: int) -> KillPoint:
    left = iter(range(number))
    return lambda *_: next(left, None) is None


def _kill_if(event: str, arguments: tuple[Any, ...], at: KillPoint) -> None:
    opens_to_write = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if (event in CHANGES or opens_to_write) and at(event, arguments):
        os.kill(os.getpid(), signal.SIGKILL)
