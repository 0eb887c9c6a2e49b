"""The Celery application of beat, which knows the schedule and none of the tasks, and stays small.

celery -A worker.beat beat
"""

import logging
from datetime import timedelta
from typing import Any

from celery import Celery, signals
from celery.beat import PersistentScheduler, SchedulingError

from models.config.logs import set_up_logging
from models.config.secrets import read_secrets
from models.config.settings import Settings
from worker.celery_config import beat_configuration
from worker.startup import ending_if_refused

log = logging.getLogger(__name__)

SECOND = timedelta(seconds=1)

app = Celery("overread-beat")
app.add_defaults(lambda: beat_configuration(Settings.read()))


@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _check_secrets(**_: Any) -> None:
    with ending_if_refused():
        read_secrets(Settings.read().data_dir)


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    set_up_logging(Settings.read(), process="beat")


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
