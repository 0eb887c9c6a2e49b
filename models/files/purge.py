"""A purge in small steps; each can be the last.

note which contents may go -> delete rows, in one transaction -> delete the noted contents' files
that no row needs, in another -> forget the note

A process that dies in between leaves a note, and the next purge, or the tidy, goes on there.
"""

import json
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, select, text
from sqlalchemy.orm import Session

from models.audit.log import record
from models.config.secrets import write_private
from models.files.deletion_lock import BackupRunningError, deleting
from models.files.partial import BusyError, PartialFiles
from models.files.purge_plan import has_ended, stays
from models.files.store import FileStore
from models.session import Sessions
from models.tables.intake import Image, Job, Prediction, Study, Upload
from models.tables.learning import Fingerprint, ImportedImage, Label, SnapshotImage

IMAGES_A_STEP = 500
NOTES = "purged"  # a folder of the file store
UNWRITTEN_S = 3600.0


class StillAtWorkError(Exception):
    """The job has not ended, or was taken up again."""


@dataclass(frozen=True)
class Content:
    """sha256: of the upload. known_until: when its newest row was made, seconds since the epoch."""

    sha256: str
    stored_sha256: str | None
    known_until: float


@dataclass(frozen=True)
class Step:
    """is_last: nothing of the job is left that can go."""

    images: int
    is_last: bool


def purge_step(sessions: Sessions, store: FileStore, job_id: str, *, user_id: int | None) -> Step:
    """Some images of a job; where none is left, its uploads, and the job unless images stay.

    Raises StillAtWorkError and BackupRunningError.
    """
    with _may_delete(store):
        with sessions.begin() as session:
            lock_images(session)
            if session.scalar(select(Job.id).where(Job.id == job_id, has_ended())) is None:
                raise StillAtWorkError
            images = _some_images(session, job_id)
            note_contents(store, images)
            _delete_images(session, images)
            is_last = not session.scalar(select(exists().where(Image.job_id == job_id, ~stays())))
            uploads = _delete_job(session, job_id) if is_last else []
            what = f"{job_id}: {len(images)} images{', the last' if is_last else ''}"
            record(session, user_id=user_id, action="job.purged", target=what)
        _discard_partial(store, uploads)
        _discard_noted(sessions, store)
    return Step(len(images), is_last)


def note_contents(store: FileStore, images: Collection[Image]) -> None:
    """Before their rows are deleted, so that their files are not forgotten."""
    newest = {one.sha256: one for one in sorted(images, key=lambda one: one.created_at)}
    contents = [
        Content(one.sha256, one.stored_sha256, one.created_at.timestamp())
        for one in newest.values()
        if one.sha256
    ]
    # An image that failed may share its content with one that was read.
    stored = {one.sha256: one.stored_sha256 for one in images if one.stored_sha256}
    lines = [asdict(one) | {"stored_sha256": stored.get(one.sha256)} for one in contents]
    if lines:
        folder = store.root / NOTES
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / f"{secrets.token_hex(16)}.json", json.dumps(lines))


def discard_noted(sessions: Sessions, store: FileStore) -> None:
    """What a purge that broke off has left. Waits for the next time while a backup is made."""
    try:
        with _may_delete(store):
            _discard_noted(sessions, store)
            _discard_unwritten(store)
    except BackupRunningError:
        return


def lock_images(session: Session) -> None:
    """Until the transaction ends nobody adds or changes an image.

    Who finds then that no image has a content may forget the content.
    """
    _lock_images(session, "SHARE ROW EXCLUSIVE")


def hold_off_purges(session: Session) -> None:
    """Until the transaction ends no purge deletes anything; everyone else goes on.

    For who is about to write rows that need files: those that are there now stay.
    """
    _lock_images(session, "ROW EXCLUSIVE")


def _lock_images(session: Session, mode: str) -> None:
    """SQLite has one writer anyway, from the moment at which it is connected."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE image IN {mode} MODE"))


@contextmanager
def _may_delete(store: FileStore) -> Iterator[None]:
    with deleting(store.root) as may_delete:
        if not may_delete:
            raise BackupRunningError
        yield


def _some_images(session: Session, job_id: str) -> list[Image]:
    images = select(Image).where(Image.job_id == job_id, ~stays()).order_by(Image.id)
    return list(session.scalars(images.limit(IMAGES_A_STEP)))


def _delete_images(session: Session, images: Collection[Image]) -> None:
    hashes, studies = {one.sha256 for one in images}, {one.study_id for one in images}
    _delete(session, Image, Image.id.in_([one.id for one in images]))
    _forget_contents(session, hashes)
    empty = Study.id.in_([one for one in studies if one is not None])
    _delete(session, Study, empty, ~exists().where(Image.study_id == Study.id))


def _forget_contents(session: Session, hashes: Collection[str]) -> None:
    """What is known of those that no image has any more."""
    gone = set(hashes) - _among(session, Image.sha256, hashes)
    _delete(session, Prediction, Prediction.sha256.in_(gone))
    gone -= _learned(session, gone)
    _delete(session, Label, Label.sha256.in_(gone))
    _delete(session, Fingerprint, Fingerprint.sha256.in_(gone))


def _delete_job(session: Session, job_id: str) -> list[int]:
    """Returns its uploads' ids. The job stays with the images that stay."""
    uploads = list(session.scalars(select(Upload.id).where(Upload.job_id == job_id)))
    _delete(session, Upload, Upload.job_id == job_id)
    _delete(session, Job, Job.id == job_id, ~exists().where(Image.job_id == Job.id))
    return uploads


def _discard_partial(store: FileStore, uploads: Collection[int]) -> None:
    left = set(PartialFiles(store).all()).intersection(uploads)
    for upload_id in left:
        try:
            with PartialFiles(store).hold(upload_id) as partial:
                partial.discard()
        except BusyError:
            continue  # the tidy comes for it


def _discard_noted(sessions: Sessions, store: FileStore) -> None:
    for note in sorted((store.root / NOTES).glob("*.json")):
        contents = _read_note(note)
        with sessions.begin() as session:
            lock_images(session)
            # Once more: someone may have answered or labelled one at that very moment.
            _forget_contents(session, [one.sha256 for one in contents])
            _discard_files(session, store, contents)
        with deleting(store.root) as may_delete:
            if not may_delete:
                return  # a backup has begun meanwhile, and kept the files
            note.unlink(missing_ok=True)


def _discard_unwritten(store: FileStore) -> None:
    """Notes that a process was killed over: of rows that are there still."""
    for left in (store.root / NOTES).glob(".*"):
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - UNWRITTEN_S:
                left.unlink()


def _read_note(note: Path) -> list[Content]:
    try:
        return [Content(**one) for one in json.loads(note.read_text())]
    except FileNotFoundError:
        return []  # another purge was faster


def _discard_files(session: Session, store: FileStore, contents: Collection[Content]) -> None:
    hashes = {one.sha256 for one in contents}
    held = _among(session, Image.sha256, hashes)
    with_input = held | _learned(session, hashes)
    stored = {one.stored_sha256 for one in contents if one.stored_sha256}
    for sha256 in stored - _among(session, Image.stored_sha256, stored):
        store.delete(sha256, area="stored")
    for one in contents:
        if one.sha256 not in with_input:
            store.delete_network_inputs(one.sha256)
        if one.sha256 not in held:
            # Not one that came after, and whose row is about to be written.
            store.delete_if_before(one.known_until, one.sha256)


def _learned(session: Session, hashes: Collection[str]) -> set[str]:
    """Those that an imported set or a snapshot has."""
    imported = _among(session, ImportedImage.sha256, hashes)
    return imported | _among(session, SnapshotImage.sha256, hashes)


def _among(session: Session, column: Any, hashes: Collection[str]) -> set[str]:
    return set(session.scalars(select(column).where(column.in_(hashes)).distinct()))


def _delete(session: Session, table: Any, *conditions: Any) -> None:
    session.execute(delete(table).where(*conditions).execution_options(synchronize_session=False))
