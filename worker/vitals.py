"""What this worker's tasks come to, written to its row every few seconds and at every change."""

import logging
import threading
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from models.base import now
from models.context import AppContext
from models.operations.heartbeat import INTERVAL_S, Vitals, forget_workers, record_heartbeat
from models.tables.workers import Problem
from worker.chunks import PASSING, PassingError, describe

log = logging.getLogger(__name__)

IN_A_ROW = 3  # failures of an unknown kind before they count as a problem


class Pulse:
    """The heartbeat of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._vitals, self._last_line = Vitals(), ""
        self._lock, self._changed = threading.Lock(), threading.Event()

    @property
    def vitals(self) -> Vitals:
        return self._vitals

    def start(self, context: AppContext, *, role: str, name: str) -> None:
        """Beat until the process stops."""
        beat = threading.Thread(target=self._beat, args=(context, role, name), daemon=True)
        beat.start()

    def succeeded(self) -> None:
        with self._lock:
            if self._vitals.failures:
                log.warning("works again, after %d failures", self._vitals.failures)
            self._last_line = ""
            self._set(Vitals(succeeded_at=now(), failed_at=self._vitals.failed_at))

    def failed(self, error: Exception) -> None:
        """Each reason is logged once until a task succeeds."""
        with self._lock:
            before, line = self._vitals, describe(error)
            if line != self._last_line:
                log.error("images wait: %s", line, exc_info=_place(error))
                self._last_line = line
            problem: Problem | None = kind_of(error)
            if problem is Problem.TASKS and before.failures + 1 < IN_A_ROW:
                problem = before.problem
            is_same = problem is before.problem
            self._set(
                replace(
                    before,
                    failed_at=now(),
                    failures=before.failures + 1,
                    problem=problem,
                    problem_since=before.problem_since if is_same else now(),
                )
            )

    def _set(self, vitals: Vitals) -> None:
        is_news = vitals.problem is not self._vitals.problem
        self._vitals = vitals
        if is_news:
            self._changed.set()

    def _beat(self, context: AppContext, role: str, name: str) -> None:
        trouble = ""
        while not context.stopping.is_set():
            self._changed.clear()
            before, trouble = trouble, ""
            try:
                with context.sessions.begin() as session:
                    forget_workers(session)
                    record_heartbeat(session, role, name=name, vitals=self._vitals)
            except Exception as error:  # it must never end while the process runs
                trouble = describe(error)
                if trouble != before:
                    log.warning("the heartbeat was not written: %s", trouble)
            self._changed.wait(INTERVAL_S)


def _place(error: Exception) -> Any:
    """Of an error of ours, where it was raised; not its text, which may quote a file."""
    if isinstance(error, PASSING):
        return None
    kind = type(error)
    return kind, Exception(kind.__name__), error.__traceback__


def kind_of(error: Exception) -> Problem:
    if isinstance(error, PassingError):
        return error.problem
    if isinstance(error, SQLAlchemyError):
        return Problem.DATABASE
    return Problem.FILES if isinstance(error, OSError) else Problem.TASKS
