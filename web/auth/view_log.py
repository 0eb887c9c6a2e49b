"""Audit rows for views and uploads, one per user, thing and hour instead of one per request.

A study's page is always recorded, its images only where the page was not opened before; likewise
a job's page and its lists of files. The log is kept in memory: a restart records a view once more.
"""

import threading
import time
from collections import OrderedDict
from typing import cast

from flask import current_app

from web.auth.rules import audit, person

KEY = "overread-view-log"
LASTS_S = 3600.0
MAX_ENTRIES = 20_000


class ViewLog:
    def __init__(self) -> None:
        self._last: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, user_id: int, what: str) -> bool:
        """Whether the last time was more than an hour ago; this time is noted."""
        key, moment = (user_id, what), time.monotonic()
        with self._lock:
            before = self._last.pop(key, None)
            self._last[key] = moment
            if len(self._last) > MAX_ENTRIES:
                self._last.popitem(last=False)
        return before is None or moment - before > LASTS_S


def record_study(study_id: int) -> None:
    _is_new(f"study {study_id}")
    audit("study.viewed", str(study_id))


def record_image(image_id: int, *, study_id: int) -> None:
    if _is_new(f"study {study_id}"):
        audit("image.viewed", str(image_id))


def record_job(job_id: str) -> None:
    _is_new(f"job {job_id}")
    audit("job.viewed", job_id)


def record_part_of_job(job_id: str) -> None:
    if _is_new(f"job {job_id}"):
        audit("job.viewed", job_id)


def record_upload(job_id: str) -> None:
    """A job of 100,000 files would otherwise add as many rows."""
    if _is_new(f"upload {job_id}"):
        audit("files.received", job_id)


def _is_new(what: str) -> bool:
    log = cast(ViewLog, current_app.extensions.setdefault(KEY, ViewLog()))
    return log.is_new(person().id, what)
