"""Purge: delete jobs that have ended, with all that belongs to their images alone.

Images stay that a snapshot holds, with all that belongs to them: else the next snapshot would lack
them, and a test split would shrink. While a night runs, images with a label stay as well: it may be
about to freeze them.

The files, predictions, labels and fingerprints of an upload go with its last image; an imported
set with the same upload keeps its network input, labels and fingerprint.

A purge works in small steps. Each deletes rows in one transaction and then, in another, the files
that no row needs any more. What a killed process leaves, `models.files.garbage` deletes.
"""

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from models.audit.log import record
from models.file_lock import LockedError
from models.files.deletion_lock import BackupRunningError, deleting
from models.files.garbage import delete_files, lock_images
from models.files.partial import PartialFiles
from models.files.store import FileStore
from models.intake.terms import forget_terms
from models.intake.uploads import MISSING
from models.session import Sessions
from models.tables.intake import WAITING_STATES, Image, Job, Prediction, Study, Upload
from models.tables.learning import (
    Fingerprint,
    ImportedImage,
    Label,
    Night,
    SnapshotImage,
    ValidLabel,
)
from models.worklist.summaries import summarise

IMAGES_A_STEP = 500


class JobNotEndedError(Exception):
    """The job has not ended, or images of it were taken up again."""


@dataclass(frozen=True)
class WhichJobs:
    """One job, or all that ended before a time."""

    job_id: str | None = None
    ended_before: datetime | None = None


@dataclass(frozen=True)
class PurgeCounts:
    """What a purge deletes, but for two counts: jobs that have not ended, and images that are kept
    because a snapshot holds them, or may soon. Predictions and labels that other jobs share stay.
    """

    jobs: int
    unended: int
    images: int
    kept: int
    predictions: int
    labels: int


def count_purge(session: Session, which: WhichJobs) -> PurgeCounts:
    def count(rows: Select[*tuple[Any, ...]]) -> int:
        return session.scalar(select(func.count()).select_from(rows.subquery())) or 0

    ended = select(Job.id).where(_is_chosen(which), _has_ended())
    chosen, other = select(Image.sha256).where(Image.job_id.in_(ended)), aliased(Image)
    elsewhere = exists().where(other.sha256 == Image.sha256, other.job_id.not_in(ended))
    gone = chosen.where(~_stays(), ~elsewhere)
    unlearned = gone.where(Image.sha256.not_in(select(ImportedImage.sha256)))
    return PurgeCounts(
        jobs=count(_purgeable(which)),
        unended=count(select(Job.id).where(_is_chosen(which), ~_has_ended())),
        images=count(chosen.where(~_stays())),
        kept=count(chosen.where(_stays())),
        predictions=count(select(Prediction.id).where(Prediction.sha256.in_(gone))),
        labels=count(select(Label.id).where(Label.sha256.in_(unlearned))),
    )


def next_purgeable(session: Session, which: WhichJobs) -> str | None:
    """The oldest job of which something goes."""
    return session.scalar(_purgeable(which).order_by(Job.created_at, Job.id).limit(1))


def purge_step(sessions: Sessions, store: FileStore, job_id: str, *, user_id: int | None) -> int:
    """Some images of a job; where none is left, its uploads, and the job unless images stay.

    Returns how many images. Raises JobNotEndedError and BackupRunningError.
    """
    with deleting(store.root) as may_delete:
        if not may_delete:
            raise BackupRunningError
        with sessions.begin() as session:
            lock_images(session)
            if session.scalar(select(Job.id).where(Job.id == job_id, _has_ended())) is None:
                raise JobNotEndedError
            of_job = select(Image).where(Image.job_id == job_id, ~_stays()).order_by(Image.id)
            images = session.scalars(of_job.limit(IMAGES_A_STEP)).all()
            _delete_images(session, images)
            is_last = not session.scalar(select(exists().where(Image.job_id == job_id, ~_stays())))
            uploads = _delete_job(session, job_id) if is_last else []
            what = f"{job_id}: {len(images)} images{', the last' if is_last else ''}"
            record(session, user_id=user_id, action="job.purged", target=what)
        _delete_files(sessions, store, images, uploads)
    return len(images)


def _has_ended() -> ColumnElement[bool]:
    """Of a job: it is closed or cancelled, no image waits, and no file is expected."""
    image = aliased(Image)  # queries of images ask this, too
    return and_(
        or_(Job.closed_at.is_not(None), Job.cancelled_at.is_not(None)),
        ~exists().where(image.job_id == Job.id, image.state.in_(WAITING_STATES)),
        ~exists().where(Upload.job_id == Job.id, *MISSING),
    )


def _stays() -> ColumnElement[bool]:
    """Of an image."""
    is_frozen = Image.sha256.in_(select(SnapshotImage.sha256))
    is_labelled = Image.sha256.in_(select(Label.sha256))
    return or_(is_frozen, and_(exists().where(Night.is_open.is_(True)), is_labelled))


def _is_chosen(which: WhichJobs) -> ColumnElement[bool]:
    """Of a job."""
    if which.job_id is not None:
        return Job.id == which.job_id
    before, image = which.ended_before, aliased(Image)
    later = exists().where(image.job_id == Job.id, image.finished_at >= before)
    ended_at = func.coalesce(Job.closed_at, Job.cancelled_at, Job.created_at)
    return and_(ended_at < before, ~later)


def _purgeable(which: WhichJobs) -> Select[str]:
    goes = exists().where(Image.job_id == Job.id, ~_stays())
    has_images = exists().where(Image.job_id == Job.id)
    chosen = select(Job.id).where(_is_chosen(which), _has_ended())
    return chosen.where(or_(goes, ~has_images))


def _delete_images(session: Session, images: Sequence[Image]) -> None:
    studies = {one.study_id for one in images if one.study_id is not None}
    _delete(session, Image, Image.id.in_([one.id for one in images]))
    _forget_uploads(session, {one.sha256 for one in images})
    if images:  # their unknown words, which may name their patients
        forget_terms(session, until=max(one.finished_at or one.created_at for one in images))
    summarise(session, studies)
    empty = Study.id.in_(studies)
    _delete(session, Study, empty, ~exists().where(Image.study_id == Study.id))


def _forget_uploads(session: Session, hashes: Collection[str]) -> None:
    """Delete what is known of uploads that no image has any more."""
    gone = set(hashes) - _among(session, Image.sha256, hashes)
    _delete(session, Prediction, Prediction.sha256.in_(gone))
    gone -= _among(session, ImportedImage.sha256, gone) | _among(
        session, SnapshotImage.sha256, gone
    )
    _delete(session, Label, Label.sha256.in_(gone))
    _delete(session, ValidLabel, ValidLabel.sha256.in_(gone))
    _delete(session, Fingerprint, Fingerprint.sha256.in_(gone))


def _delete_job(session: Session, job_id: str) -> list[int]:
    """Returns its uploads' ids. The job stays with the images that stay."""
    uploads = list(session.scalars(select(Upload.id).where(Upload.job_id == job_id)))
    _delete(session, Upload, Upload.job_id == job_id)
    _delete(session, Job, Job.id == job_id, ~exists().where(Image.job_id == Job.id))
    return uploads


def _delete_files(
    sessions: Sessions, store: FileStore, images: Sequence[Image], uploads: Collection[int]
) -> None:
    for upload_id in set(PartialFiles(store).all()).intersection(uploads):
        with suppress(LockedError), PartialFiles(store).hold(upload_id) as partial:
            partial.discard()
    by_age = sorted(images, key=lambda one: one.created_at)
    newest = {one.sha256: one.created_at.timestamp() for one in by_age if one.sha256}
    stored = {one.stored_sha256 for one in images if one.stored_sha256}
    with sessions.begin() as session:
        lock_images(session)
        # Once more: someone may have predicted or labelled one at that very moment.
        _forget_uploads(session, newest)
        delete_files(session, store, "stored", dict.fromkeys(stored, math.inf))
        delete_files(session, store, "inputs", dict.fromkeys(newest, math.inf))
        delete_files(session, store, "incoming", newest)


def _among(session: Session, column: Any, hashes: Collection[str]) -> set[str]:
    return set(session.scalars(select(column).where(column.in_(hashes)).distinct()))


def _delete(session: Session, table: Any, *conditions: Any) -> None:
    session.execute(delete(table).where(*conditions).execution_options(synchronize_session=False))
