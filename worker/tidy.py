"""Housekeeping: the hourly steps of the tidy task, and uploads that are not needed any more."""

import logging
import time
from collections.abc import Sequence

from models.audit.verify import check_audit
from models.context import AppContext
from models.files.pictures import Pictures
from models.files.presence import require_store
from models.intake.images import set_sop_uids, wanted_uploads, without_sop_uid
from models.people.logins import delete_expired_logins
from pipeline.deidentify.dicom import read_sop_instance_uid
from pipeline.errors import DamagedFileError, RefusedError

log = logging.getLogger(__name__)


def watch_audit(context: AppContext) -> None:
    key = context.secrets.identity_key
    check = check_audit(context.sessions, context.settings.data_dir, key=key)
    if check.is_intact:
        log.info("audit chain verified: %d rows", check.rows)
    else:
        log.error("audit chain verification failed at row %s: %s", check.broken, check.why)


def forget_expired_logins(context: AppContext) -> None:
    with context.sessions.begin() as session:
        delete_expired_logins(session)


def trim_pictures(context: AppContext) -> None:
    settings = context.settings
    Pictures(
        context.store,
        max_bytes=settings.picture_cache_bytes,
        reserve_bytes=settings.disk_reserve_bytes,
    ).trim()


IMAGES_A_RUN = 2000
IMAGES_A_TRANSACTION = 100
UNKNOWN = ""  # not looked up again


def fill_sop_instance_uids(context: AppContext, *, limit: int = IMAGES_A_RUN) -> int:
    """Read those of images of older releases from their stored files. Returns how many."""
    with context.sessions() as session:
        images = list(without_sop_uid(session, limit=limit).items())
    for start in range(0, len(images), IMAGES_A_TRANSACTION):
        if context.stopping.is_set():
            return start
        some = images[start : start + IMAGES_A_TRANSACTION]
        uids = {image_id: _read(context, stored) for image_id, stored in some}
        require_store(context.store.root)  # else they would count as lost
        with context.sessions.begin() as session:
            set_sop_uids(session, uids)
    return len(images)


def _read(context: AppContext, stored_sha256: str) -> str:
    try:
        return read_sop_instance_uid(context.store.checked_path(stored_sha256))
    except (FileNotFoundError, DamagedFileError, RefusedError):
        return UNKNOWN


def discard_uploads(context: AppContext, sha256s: Sequence[str]) -> None:
    """Delete uploads, which may name their patient, that no image needs to be read or retried."""
    moment = time.time()
    with context.sessions() as session:
        needed = wanted_uploads(session, sha256s)
    context.store.delete(*set(sha256s) - needed, before=moment)  # they may have been sent again
