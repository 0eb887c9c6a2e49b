"""The workers' Celery application. Importing it reads no settings; starting does."""

import logging
from typing import Any

from celery import Celery, signals

from models.config.logs import set_up_logging
from models.config.settings import Settings
from worker.celery_config import worker_configuration
from worker.startup import ending_if_refused

log = logging.getLogger(__name__)

app = Celery("overread", include=["worker.tasks"])
app.add_defaults(lambda: worker_configuration(Settings.read()))

_names: list[str] = []


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def _remember_name(sender: str, **_: Any) -> None:
    _names[:] = [sender.partition("@")[0]]


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _check_installation(**_: Any) -> None:
    from models.context import process_context

    with ending_if_refused():
        process_context()


@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _refuse_beat(**_: Any) -> None:
    raise SystemExit("Error: beat is another application: celery -A worker.beat beat")


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    """Instead of Celery's own."""
    set_up_logging(Settings.read(), process=_names[0] if _names else "worker")


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _log_jobs(task: Any, **_: Any) -> None:
    """Log the jobs that the sender of the nudge named; see `worker.enqueue`."""
    jobs = (task.request.headers or {}).get("jobs")
    if jobs:
        log.info("nudged: %s", task.name, extra={"jobs": jobs})
