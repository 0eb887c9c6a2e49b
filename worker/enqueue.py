"""Nudges: messages that tell a worker that something waits.

The database is the queue of truth. A nudge may be lost, repeated or late without harm, so a
broker that is down is logged and never raised: the sweeper nudges again.
"""

import logging
from collections.abc import Collection
from functools import cache, partial

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from models.config.settings import Settings
from models.slots import BusyError, Slots
from worker import celery_config

log = logging.getLogger(__name__)

NUDGE_EXPIRES_S = 60  # by then the sweeper has sent another; none pile up for a stopped worker
SENDING = Slots("nudges", 4)  # fewer than Celery's connections, for which it waits
_configured: list[Settings] = []


def connect(settings: Settings) -> None:
    """Set the broker; without this call the settings come from the environment."""
    _configured[:] = [settings]
    _sender.cache_clear()


def is_broker_up() -> bool:
    """For health checks: answers within about a second."""
    try:
        with _sender().connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    except (KombuError, OSError):
        return False
    return True


def _nudge(task: str, *, jobs: Collection[str] = ()) -> None:
    """jobs: for the logs of both sides only; the worker takes whatever waits."""
    about = {"jobs": sorted(jobs)}
    try:
        sender = _sender()
        if not sender.conf.broker_url:
            raise OperationalError("no broker is set")
        with SENDING.take():
            sender.send_task(task, ignore_result=True, expires=NUDGE_EXPIRES_S, headers=about)
    except (OperationalError, OSError, BusyError) as error:
        why = type(error).__name__
        log.warning("%s was not nudged, the sweeper will do so: %s", task, why, extra=about)
    else:
        log.info("nudged %s", task, extra=about)


nudge_ingest = partial(_nudge, celery_config.INGEST_TASK)
nudge_predict = partial(_nudge, celery_config.PREDICT_TASK)
nudge_reread = partial(_nudge, celery_config.REREAD_TASK)
nudge_train = partial(_nudge, celery_config.NIGHT_TASK)
NUDGES = {
    celery_config.INGEST: nudge_ingest,
    celery_config.PREDICT: nudge_predict,
    celery_config.TRAIN: nudge_train,
}


@cache
def _sender() -> Celery:
    settings = _configured[0] if _configured else Settings.read()
    sender = Celery("overread-sender", set_as_current=False)
    sender.conf.update(celery_config.sender_configuration(settings))
    return sender
