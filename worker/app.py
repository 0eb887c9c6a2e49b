"""The Celery application and its scheduler. Importing it reads no settings; starting does."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from celery import Celery, signals
from celery.beat import PersistentScheduler, SchedulingError

from models.config.logs import set_up_logging
from models.config.secrets import SecretsError, read_secrets
from models.config.settings import Settings
from worker.celery_config import worker_configuration

log = logging.getLogger(__name__)

app = Celery("overread", include=["worker.tasks"])
app.add_defaults(lambda: worker_configuration(Settings.read()))

SECOND = timedelta(seconds=1)
_names: list[str] = []


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def _remember_name(sender: str, **_: Any) -> None:
    _names[:] = [sender.partition("@")[0]]


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _check_installation(**_: Any) -> None:
    """A worker that must not start says why in one line, and ends."""
    from models.context import process_context  # beat needs no database

    with _refusing():
        process_context()


@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _check_secrets(**_: Any) -> None:
    with _refusing():
        read_secrets(Settings.read().data_dir)


@contextmanager
def _refusing() -> Iterator[None]:
    """Celery logs what a signal's receiver raises, and goes on; unless it is SystemExit."""
    try:
        yield
    except SecretsError as error:
        raise SystemExit(f"Error: {error}") from None


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    """Instead of Celery's own."""
    # Beat has no name, nor has the process that the pool starts for a night.
    unnamed = "train" if "FORKED_BY_MULTIPROCESSING" in os.environ else "beat"
    set_up_logging(Settings.read(), process=_names[0] if _names else unnamed)


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _log_jobs(task: Any, **_: Any) -> None:
    """Log the jobs that the sender of the nudge named; see `worker.enqueue`."""
    jobs = (task.request.headers or {}).get("jobs")
    if jobs:
        log.info("nudged: %s", task.name, extra={"jobs": jobs})


def _ran_in_the_future(entry: Any) -> bool:
    aware = entry.schedule.maybe_make_aware
    return bool(aware(entry.last_run_at) > aware(entry.default_now()) + SECOND)


class Beat(PersistentScheduler):  # type: ignore[misc]
    """Celery's own logs two tracebacks for each message that does not reach the broker, every few
    seconds; this one logs a line.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """After the clock was set back, entries would wait for as long as the step."""
        entries = list(self.schedule.values())
        if any(map(_ran_in_the_future, entries)):
            for one in entries:
                one.last_run_at = one.default_now()
            self.populate_heap()
        waits_s: float = super().tick(*args, **kwargs)
        return waits_s

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            why = type(error.__context__).__name__
            log.warning("%s was not sent, will be retried: %s", entry.name, why)
