"""The Celery application. Importing it reads no settings; a worker's start does, strictly."""

import logging
import os
from typing import Any

from celery import Celery, signals

from models.config.logs import set_up_logging
from models.config.settings import Settings
from worker.configuration import worker_configuration

log = logging.getLogger(__name__)

app = Celery("overread", include=["worker.tasks"])
app.add_defaults(lambda: worker_configuration(Settings.read()))

_names: list[str] = []


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def _remember_name(sender: str, **_: Any) -> None:
    _names[:] = [sender.partition("@")[0]]


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    """Instead of Celery's own."""
    set_up_logging(Settings.read(), process=_names[0] if _names else _unnamed())


def _unnamed() -> str:
    """Beat has no name; nor has a night's process, which the pool starts anew."""
    return "train" if "FORKED_BY_MULTIPROCESSING" in os.environ else "beat"


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _log_jobs(task: Any, **_: Any) -> None:
    """The end of the trail that a nudge's sender began; see `worker.enqueue`."""
    jobs = (task.request.headers or {}).get("jobs")
    if jobs:
        log.info("nudged: %s", task.name, extra={"jobs": jobs})
