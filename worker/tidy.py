"""Once an hour: is the audit as it was written? What is intact is anchored.

What is left of trainings that were killed, cancelled, or slower than another of their night.

Rows of logins that count no longer.

SOP Instance UIDs of images that came before they were kept, read from the stored files.

Uploads as they came, which may name their patient, and what is left of those that broke off.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

from models.audit.verify import check_audit
from models.context import AppContext
from models.files.partial import BusyError, PartialFiles
from models.intake.images import set_sop_uids, wanted_uploads, without_sop_uid
from models.intake.uploads import advance, missing_uploads
from models.learning.nights import open_night
from models.people.logins import delete_expired_logins
from models.query import batches
from models.tables.intake import Upload
from pipeline.deidentify.dicom import read_sop_instance_uid
from pipeline.errors import RefusedError
from worker.night.candidate import NETWORKS, candidate_name

log = logging.getLogger(__name__)


def watch_audit(context: AppContext) -> None:
    with context.sessions() as session:
        check = check_audit(session, context.settings.data_dir)
    if check.is_intact:
        log.info("the audit is intact: %d rows", check.rows)
    else:
        log.error("THE AUDIT IS BROKEN at row %s: %s", check.broken, check.why)


def forget_expired_logins(context: AppContext) -> None:
    with context.sessions.begin() as session:
        delete_expired_logins(session)


IMAGES_A_RUN = 2000
IMAGES_A_TRANSACTION = 100
UNKNOWN = ""  # not asked for again


def fill_sop_instance_uids(context: AppContext, *, limit: int = IMAGES_A_RUN) -> int:
    """Returns how many images it looked into: fewer than `limit` means that none is left."""
    with context.sessions() as session:
        images = list(without_sop_uid(session, limit=limit).items())
    for start in range(0, len(images), IMAGES_A_TRANSACTION):
        if context.stopping.is_set():
            return start
        some = images[start : start + IMAGES_A_TRANSACTION]
        uids = {image_id: _read(context, stored) for image_id, stored in some}
        with context.sessions.begin() as session:
            set_sop_uids(session, uids)
    return len(images)


def _read(context: AppContext, stored_sha256: str) -> str:
    try:
        return read_sop_instance_uid(context.store.path(stored_sha256))
    except (FileNotFoundError, RefusedError):
        return UNKNOWN


FORGOTTEN_AFTER_S = 24 * 3600


def discard_uploads(context: AppContext, sha256s: Sequence[str]) -> None:
    """They are kept no longer than some image waits to be read, or may be tried again.

    Should the same bytes arrive at this very moment, their image gets what is known of them.
    """
    moment = time.time()
    with context.sessions() as session:
        needed = wanted_uploads(session, sha256s)
    for sha256 in set(sha256s) - needed:
        context.store.delete_if_before(moment, sha256)  # they may have come again meanwhile


def discard_forgotten(context: AppContext, *, age_s: float = FORGOTTEN_AFTER_S) -> None:
    """What a fault or a sender left behind, and what could have been tried again until now."""
    moment = time.time() - age_s
    for some in batches(context.store.incoming_before(moment)):
        _discard_incoming(context, some, moment)
    for ids in batches(PartialFiles(context.store).all()):
        _discard_partial(context, ids, moment)
    context.store.discard_temporary(moment)


def _discard_incoming(context: AppContext, sha256s: Sequence[str], moment: float) -> None:
    ended_after = datetime.fromtimestamp(moment, UTC)
    with context.sessions() as session:
        needed = wanted_uploads(session, sha256s, ended_after=ended_after)
    for sha256 in set(sha256s) - needed:
        context.store.delete_if_before(moment, sha256)  # the same bytes may just have come again


def _discard_partial(context: AppContext, upload_ids: Sequence[int], moment: float) -> None:
    """All but those that still come; what came long ago has to be sent again from its start."""
    with context.sessions() as session:
        missing = missing_uploads(session, upload_ids)
    for upload_id in upload_ids:
        _discard_one(context, upload_id, missing.get(upload_id), moment)


def _discard_one(
    context: AppContext, upload_id: int, missing: Upload | None, moment: float
) -> None:
    try:
        with PartialFiles(context.store).hold(upload_id) as partial:
            if missing is not None:
                if partial.modified_at >= moment:
                    return
                with context.sessions.begin() as session:
                    if not advance(session, upload_id, before=missing.received, received=0):
                        return  # it came on, or arrived
            partial.discard()
    except BusyError:
        return  # someone is sending it


LEFT = (
    ".*.training",
    ".*.partial*",
)  # see `pipeline.training.checkpoint`, `pipeline.inference.version_folder`


def discard_leftovers(context: AppContext, *, age_s: float = FORGOTTEN_AFTER_S) -> None:
    """Checkpoints and half-written versions, unless the night is open, and may need them."""
    before = time.time() - age_s
    networks = context.settings.data_dir / NETWORKS
    found = [path for kind in LEFT for path in networks.glob(kind)]
    left = [path for path in found if _is_older(path, before)]
    with context.sessions() as session:
        night = open_night(session)
    for folder in left:
        if night is None or not folder.name.startswith(f".{candidate_name(night.id)}."):
            rmtree(folder, ignore_errors=True)


def _is_older(path: Path, moment: float) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < moment
    return False
