"""Uploads as they came, which may name their patient, and what is left of those that broke off."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from models.files.partial import BusyError, PartialFiles
from models.intake.images import wanted_uploads
from models.intake.uploads import advance, missing_uploads
from models.query import batches
from models.tables.intake import Upload
from worker.doors import Doors

FORGOTTEN_AFTER_S = 24 * 3600


def discard_uploads(doors: Doors, sha256s: Sequence[str]) -> None:
    """They are kept no longer than some image waits to be read, or may be tried again.

    Should the same bytes arrive at this very moment, their image gets what is known of them.
    """
    moment = time.time()
    with doors.sessions() as session:
        needed = wanted_uploads(session, sha256s)
    for sha256 in set(sha256s) - needed:
        doors.store.delete_if_before(moment, sha256)  # they may have come again meanwhile


def discard_forgotten(doors: Doors, *, age_s: float = FORGOTTEN_AFTER_S) -> None:
    """What a fault or a sender left behind, and what could have been tried again until now."""
    moment = time.time() - age_s
    for some in batches(doors.store.incoming_before(moment)):
        _discard_incoming(doors, some, moment)
    for ids in batches(PartialFiles(doors.store).all()):
        _discard_partial(doors, ids, moment)
    doors.store.discard_temporary(moment)


def _discard_incoming(doors: Doors, sha256s: Sequence[str], moment: float) -> None:
    ended_after = datetime.fromtimestamp(moment, UTC)
    with doors.sessions() as session:
        needed = wanted_uploads(session, sha256s, ended_after=ended_after)
    for sha256 in set(sha256s) - needed:
        doors.store.delete_if_before(moment, sha256)  # the same bytes may just have come again


def _discard_partial(doors: Doors, upload_ids: Sequence[int], moment: float) -> None:
    """All but those that still come; what came long ago has to be sent again from its start."""
    with doors.sessions() as session:
        missing = missing_uploads(session, upload_ids)
    for upload_id in upload_ids:
        _discard_one(doors, upload_id, missing.get(upload_id), moment)


def _discard_one(doors: Doors, upload_id: int, missing: Upload | None, moment: float) -> None:
    try:
        with PartialFiles(doors.store).hold(upload_id) as partial:
            if missing is not None:
                if partial.modified_at >= moment:
                    return
                with doors.sessions.begin() as session:
                    if not advance(session, upload_id, before=missing.received, received=0):
                        return  # it came on, or arrived
            partial.discard()
    except BusyError:
        return  # someone is sending it
