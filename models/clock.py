"""The machine's clock may be set forward or back, by a day as well as by a second.

Deadlines are kept as times, so each kind states what such a step does to it:

leases         one that ends later than any claim's has lapsed (`models.lease`); after a step
               forward they lapse early, the work is done again, and late writes are refused
lock-outs      end after their length, whatever the clock says (`models.people.logins`)
browser logins of the future are ended; after a step forward people log in again
links          of the future are void; API tokens stay valid for as much longer as the step
heartbeats     are timed by the database's clock; of the future they count no more than old ones
nights         those of the future are disregarded; one per date still (`models.learning.nights`)
labels         are never dated before those that they correct (`models.learning.labels`)
backups        are never named before earlier ones (`models.operations.backup_folder`)
ages of files  are those by a clock that nobody sets (`moment_before`): nothing is deleted early;
               files of the future are taken for new ones (`models.files.store`)
schedules      beat starts its intervals again (`worker.beat`)

Within a process, deadlines use `time.monotonic`.
"""

import time
from datetime import timedelta

CLOCKS_DIFFER_BY = timedelta(minutes=5)  # of the machines of one service


def _offset_s() -> float:
    """Of the clock from one that counts from the machine's start, its sleep included."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


_FIRST_OFFSET_S = _offset_s()


def set_forward_s() -> float:
    """By how much the clock was set forward since this process started."""
    return max(0.0, _offset_s() - _FIRST_OFFSET_S)


def moment_before(age_s: float) -> float:
    """Seconds since the epoch. What is older has existed for `age_s`, also by a clock that was set
    forward meanwhile, unless before this process started.
    """
    return time.time() - age_s - set_forward_s()
