"""SOP Instance UIDs of images that came before they were kept, read from the stored files."""

from models.intake.images import set_sop_uids, without_sop_uid
from pipeline.deidentify.dicom import read_sop_instance_uid
from pipeline.errors import RefusedError
from worker.doors import Doors

IMAGES_A_RUN = 2000
IMAGES_A_TRANSACTION = 100
UNKNOWN = ""  # not asked for again


def fill_sop_instance_uids(doors: Doors, *, limit: int = IMAGES_A_RUN) -> int:
    """Returns how many images it looked into: fewer than `limit` means that none is left."""
    with doors.sessions() as session:
        images = list(without_sop_uid(session, limit=limit).items())
    for start in range(0, len(images), IMAGES_A_TRANSACTION):
        if doors.stopping.is_set():
            return start
        some = images[start : start + IMAGES_A_TRANSACTION]
        uids = {image_id: _read(doors, stored) for image_id, stored in some}
        with doors.sessions.begin() as session:
            set_sop_uids(session, uids)
    return len(images)


def _read(doors: Doors, stored_sha256: str) -> str:
    try:
        return read_sop_instance_uid(doors.store.path(stored_sha256))
    except (FileNotFoundError, RefusedError):
        return UNKNOWN
