"""A process that is killed at one chosen moment: just before it changes something on the disk, or
just before it commits.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from models.session import Sessions

Moment = Callable[[str, tuple[Any, ...]], bool]  # of Python's audit events and their arguments


class DeathError(BaseException):
    """No code of ours catches it, so what was not committed is lost, as when the process dies."""


@contextmanager
def dying(sessions: Sessions, *, before_commit: int) -> Iterator[None]:
    """Raises DeathError just before that commit of this thread, counted from 1."""
    left, thread = iter(range(before_commit - 1)), threading.get_ident()

    def die(_: Connection) -> None:
        if threading.get_ident() == thread and next(left, None) is None:
            raise DeathError

    event.listen(sessions.kw["bind"], "commit", die)
    try:
        yield
    finally:
        event.remove(sessions.kw["bind"], "commit", die)


def is_killed(work: Callable[[], object], *, at: Moment) -> bool:
    """Does the work in a child of this process; whether its moment came before its end."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(lambda event, about: _die() if _changes(event, about, at) else None)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def renaming_to(end: str) -> Moment:
    """A file or folder gets a name that ends so."""
    return lambda event, about: event == "os.rename" and os.fsdecode(about[1]).endswith(end)


def after(number: int) -> Moment:
    """So many changes have been made."""
    left = iter(range(number))
    return lambda *_: next(left, None) is None


def _changes(event: str, about: tuple[Any, ...], at: Moment) -> bool:
    is_change = event in _CHANGES or (event == "open" and _is_to_write(about[2]))
    return is_change and at(event, about)


_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "sqlite3.connect"}


def _is_to_write(flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
