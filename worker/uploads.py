"""Uploads as they came, which may name their patient."""

from collections.abc import Sequence

from models.images import awaited
from worker.doors import Doors


def discard_uploads(doors: Doors, sha256s: Sequence[str]) -> None:
    """They are kept no longer than some image waits to be read.

    Should the same bytes arrive at this very moment, their image gets what is known of them.
    """
    with doors.sessions() as session:
        needed = awaited(session, sha256s)
    for sha256 in set(sha256s) - needed:
        doors.store.delete(sha256)
