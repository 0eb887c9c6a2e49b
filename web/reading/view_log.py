"""Who has looked at which study or job lately, so that each look is one row of the audit.

A study's page is recorded as such, and its pictures come with it; so do a job's lists, which name
its files. What is fetched without the page, as programs do, is a look of its own. Kept in memory:
after a restart one is recorded once more.
"""

import threading
import time
from collections import OrderedDict
from typing import cast

from flask import current_app

from web.auth.rules import audit, person

KEY = "overread-looks"
LASTS_S = 3600.0
MOST = 20_000

Seen = int | str  # a study's id, or a job's


class Looks:
    def __init__(self) -> None:
        self._last: OrderedDict[tuple[int, Seen], float] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, user_id: int, seen: Seen) -> bool:
        """And from now on it no longer is, for an hour after the last look."""
        key, moment = (user_id, seen), time.monotonic()
        with self._lock:
            before = self._last.pop(key, None)
            self._last[key] = moment
            if len(self._last) > MOST:
                self._last.popitem(last=False)
        return before is None or moment - before > LASTS_S


def record_study(study_id: int) -> None:
    audit("study.viewed", str(study_id))
    _looks().is_new(person().id, study_id)


def record_picture(image_id: int, *, study_id: int) -> None:
    if _looks().is_new(person().id, study_id):
        audit("image.viewed", str(image_id))


def record_job(job_id: str) -> None:
    audit("job.viewed", job_id)
    _looks().is_new(person().id, job_id)


def record_part_of_job(job_id: str) -> None:
    if _looks().is_new(person().id, job_id):
        audit("job.viewed", job_id)


def _looks() -> Looks:
    return cast(Looks, current_app.extensions.setdefault(KEY, Looks()))
