"""Uploads as they came, which may name their patient."""

import time
from collections.abc import Sequence

from models.images import wanted_uploads
from worker.doors import Doors

FORGOTTEN_AFTER_S = 24 * 3600
BATCH = 500


def discard_uploads(doors: Doors, sha256s: Sequence[str]) -> None:
    """They are kept no longer than some image waits to be read.

    Should the same bytes arrive at this very moment, their image gets what is known of them.
    """
    with doors.sessions() as session:
        needed = wanted_uploads(session, sha256s)
    for sha256 in set(sha256s) - needed:
        doors.store.delete(sha256)


def discard_forgotten(doors: Doors, *, age_s: float = FORGOTTEN_AFTER_S) -> None:
    """What a sender left behind that was cut off between a file and its row."""
    forgotten = doors.store.incoming_before(time.time() - age_s)
    for start in range(0, len(forgotten), BATCH):
        discard_uploads(doors, forgotten[start : start + BATCH])
