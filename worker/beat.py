"""The sweeper's clock."""

import logging
from typing import Any

from celery.beat import PersistentScheduler, SchedulingError

log = logging.getLogger(__name__)


class Beat(PersistentScheduler):  # type: ignore[misc]
    """Celery's, in fewer words: for each message that does not reach the broker it logs a trace of
    its own calls, and the error's, which would be both of them every few seconds.
    """

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            why = type(error.__context__).__name__
            log.warning("%s was not sent, the next one will be: %s", entry.name, why)
