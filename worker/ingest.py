"""Files become network inputs: received -> ready | rejected.

claim -> for each content: known already? else decode, shrink, de-identify -> store -> record
      -> delete the upload, which may name its patient -> nudge predict

Where a network input got lost, predict sends its images back here: it is made again, from the
upload where that came again, else from the de-identified picture.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy.orm import Session

from models.context import AppContext
from models.files.garbage import delete_unneeded, hold_off_purges
from models.intake.claims import Claim, ClaimedImage, claim_images, still_held
from models.intake.images import ReadImage, find_twins, record_read
from models.learning.promotion import production_version
from models.reading.predictions import finish_known
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Image, State
from pipeline.errors import Reason, RefusalCode, RefusedError
from pipeline.prepare.pool import DecoderError, DecoderPool
from pipeline.pseudonym import pseudonym
from pipeline.types import PREPROCESSING, Prepared
from worker.chunks import PassingError, by_turns, holding, jobs_of, record
from worker.enqueue import nudge_predict
from worker.tidy import discard_uploads

# Files are forced to disk before the upload they come from is deleted. Waiting for the disk one
# by one costs 1.3 ms an image, four at a time a tenth of that.
WRITERS = 4
MISSING = Reason(RefusalCode.BYTES_MISSING, "the uploaded file is no longer in the file store")


@dataclass(frozen=True)
class ReadContent:
    """What there is to know about one content, whichever images hold it."""

    media_type: str
    stored_sha256: str
    rows: int
    columns: int
    tags: dict[str, Any]
    warnings: list[str]
    study_hash: str | None  # None: grouped by folder
    patient_hash: str | None
    sop_instance_uid: str | None


@dataclass
class Outcomes:
    """Of a chunk, by SHA-256. What is in none of them was not begun."""

    read: dict[str, ReadContent] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    failed: dict[str, Reason] = field(default_factory=dict)
    # Read before, but their network input is gone, and there is nothing but the picture.
    to_restore: dict[str, ReadContent] = field(default_factory=dict)
    # Images whose rows say so by now.
    recorded: set[int] = field(default_factory=set)

    def of(self, sha256: str) -> bool:
        return sha256 in self.read or sha256 in self.refused or sha256 in self.failed


def ingest_chunk(context: AppContext, pool: DecoderPool) -> bool:
    """Returns whether there was anything to do."""
    settings = context.settings
    with context.sessions.begin() as session:
        claim = claim_images(
            session,
            State.RECEIVED,
            limit=settings.chunk_size,
            lease_s=settings.lease_s,
            max_attempts=settings.max_attempts,
        )
    if not claim.images:
        return False
    with holding(claim, context=context):
        outcomes = _find_known(context, claim)
        _read_new(context, pool, claim, outcomes)
        read = dict(outcomes.read)
        record(
            lambda session: _record(session, context, claim, outcomes), claim=claim, context=context
        )
        _delete_unrecorded(context, claim, read, recorded=outcomes.recorded)
    discard_uploads(context, [image.sha256 for image in claim.images if outcomes.of(image.sha256)])
    nudge_predict(job_ids=jobs_of(claim))
    return True


def _find_known(context: AppContext, claim: Claim) -> Outcomes:
    hashes = [image.sha256 for image in claim.images]
    outcomes = Outcomes()
    with context.sessions() as session:
        twins = find_twins(session, hashes)
    for sha256 in hashes:
        twin = twins.get(sha256)
        known = _of_twin(twin, context) if twin else None
        if known and context.store.has_network_input(sha256, PREPROCESSING):
            outcomes.read[sha256] = known
        elif context.store.exists(sha256, area="incoming"):
            continue
        elif known:
            outcomes.to_restore[sha256] = known
        else:
            _explain_missing(sha256, twin, outcomes)
    return outcomes


def _explain_missing(sha256: str, twin: Image | None, outcomes: Outcomes) -> None:
    """Refused before, and deleted for it: the same bytes get the same answer."""
    if twin is None or twin.reason is None or twin.reason_code is None:
        outcomes.failed[sha256] = MISSING
    elif twin.state == State.REJECTED:
        outcomes.refused[sha256] = Reason(twin.reason_code, twin.reason)
    else:
        outcomes.failed[sha256] = Reason(twin.reason_code, twin.reason)


def _read_new(context: AppContext, pool: DecoderPool, claim: Claim, outcomes: Outcomes) -> None:
    """Stops early, with what it has, when the process is asked to stop or time runs out."""
    settings = context.settings
    deadline = time.monotonic() + settings.soft_chunk_time_limit_s - settings.decode_timeout_s
    new = [sha256 for sha256 in by_turns(claim) if not outcomes.of(sha256)]
    answers = pool.prepare_all(_path(context, sha256, outcomes) for sha256 in new)
    being_stored: dict[str, Future[ReadContent]] = {}
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="writer") as writers, _starting_decoders():
        for sha256, answer in zip(new, answers, strict=True):
            if context.stopping.is_set():
                break  # before the answer is used: it may be that of a decoder that was stopped
            if isinstance(answer, RefusedError):
                outcomes.refused[sha256] = answer.reason
            elif sha256 in outcomes.to_restore:
                known = outcomes.to_restore[sha256]
                being_stored[sha256] = writers.submit(_restore, context, sha256, answer, known)
            else:
                being_stored[sha256] = writers.submit(_store, context, sha256, answer)
            if time.monotonic() > deadline:
                break
    for sha256, stored in being_stored.items():
        outcomes.read[sha256] = stored.result()


def _path(context: AppContext, sha256: str, outcomes: Outcomes) -> Path:
    if sha256 in outcomes.to_restore:
        return context.store.path(outcomes.to_restore[sha256].stored_sha256)
    return context.store.path(sha256, area="incoming")


@contextmanager
def _starting_decoders() -> Iterator[None]:
    """No file is to blame for a decoder that does not start."""
    try:
        yield
    except DecoderError as error:
        raise PassingError(str(error)) from error


def _restore(
    context: AppContext, sha256: str, prepared: Prepared, known: ReadContent
) -> ReadContent:
    context.store.put_network_input(sha256, PREPROCESSING, prepared.network_input)
    return known


def _store(context: AppContext, sha256: str, prepared: Prepared) -> ReadContent:
    assert prepared.blob is not None, "the pool has a key"
    stored_sha256 = hashlib.sha256(prepared.blob).hexdigest()
    context.store.put_network_input(sha256, PREPROCESSING, prepared.network_input)
    context.store.put_bytes(prepared.blob, sha256=stored_sha256)
    return ReadContent(
        media_type=prepared.media_type,
        stored_sha256=stored_sha256,
        rows=prepared.rows,
        columns=prepared.columns,
        tags=prepared.tags,
        warnings=list(prepared.warnings),
        study_hash=prepared.study_uid_hash,
        patient_hash=prepared.patient_hash,
        sop_instance_uid=prepared.sop_instance_uid,
    )


def _of_twin(twin: Image, context: AppContext) -> ReadContent | None:
    """None where it was not read, or its picture is gone."""
    if twin.stored_sha256 is None or not context.store.exists(twin.stored_sha256):
        return None
    study = twin.study
    by_uid = study is not None and study.folder is None
    return ReadContent(
        media_type=twin.media_type or "",
        stored_sha256=twin.stored_sha256,
        rows=twin.rows or 0,
        columns=twin.columns or 0,
        tags=twin.tags or {},
        warnings=twin.warnings or [],
        study_hash=study.study_hash if study and by_uid else None,
        patient_hash=study.patient_hash if study and by_uid else None,
        sop_instance_uid=twin.sop_instance_uid,
    )


def _record(session: Session, context: AppContext, claim: Claim, outcomes: Outcomes) -> None:
    hold_off_purges(session)
    _leave_purged(context, outcomes)
    held = still_held(session, claim)  # a study of others only would have no image
    read = [image for image in claim.images if image.id in held and image.sha256 in outcomes.read]
    studies = {image.id: _study(image, outcomes.read[image.sha256], context) for image in read}
    ids = get_or_create_studies(session, list(studies.values()))
    outcomes.recorded = record_read(
        session,
        claim,
        read={
            image.id: _read_image(outcomes.read[image.sha256], ids[studies[image.id].study_hash])
            for image in read
        },
        refused=_by_image(claim.images, outcomes.refused),
        failed=_by_image(claim.images, outcomes.failed),
    )
    production = production_version(session)
    if production is not None:
        finish_known(
            session,
            list(outcomes.read),
            model_version_id=production.id,
            operating_point=context.settings.operating_point,
        )


def _delete_unrecorded(
    context: AppContext, claim: Claim, read: dict[str, ReadContent], *, recorded: set[int]
) -> None:
    """A job that was cancelled or purged while it was read leaves no patient's image behind."""
    kept = {image.sha256 for image in claim.images if image.id in recorded}
    left = {sha256: one for sha256, one in read.items() if sha256 not in kept}
    if left:
        stored = {one.stored_sha256 for one in left.values()}
        delete_unneeded(context.sessions, context.store, stored=stored, inputs=left)


def _leave_purged(context: AppContext, outcomes: Outcomes) -> None:
    """A purge of other jobs' images may just have taken files that these share: read anew."""
    gone = [
        sha256
        for sha256, content in outcomes.read.items()
        if not context.store.exists(content.stored_sha256)
        or not context.store.has_network_input(sha256, PREPROCESSING)
    ]
    for sha256 in gone:
        del outcomes.read[sha256]


def _read_image(content: ReadContent, study_id: int) -> ReadImage:
    return ReadImage(
        media_type=content.media_type,
        stored_sha256=content.stored_sha256,
        rows=content.rows,
        columns=content.columns,
        tags=content.tags,
        warnings=content.warnings,
        study_id=study_id,
        sop_instance_uid=content.sop_instance_uid,
    )


def _study(image: ClaimedImage, content: ReadContent, context: AppContext) -> NewStudy:
    """DICOM says which study it belongs to; other files belong to the folder they lie in.

    A loose file lies in no folder: a handful picked in a file dialog is not one patient.
    """
    if content.study_hash is not None:
        return NewStudy(content.study_hash, content.patient_hash)
    path = PurePosixPath(image.file)
    folder = str(path if path.parent == PurePosixPath() else path.parent)
    key = context.secrets.identity_key
    study_hash = pseudonym(key, "folder", image.job_id, folder)
    return NewStudy(study_hash, content.patient_hash, folder)


def _by_image(images: Iterable[ClaimedImage], by_hash: dict[str, Reason]) -> dict[int, Reason]:
    return {image.id: by_hash[image.sha256] for image in images if image.sha256 in by_hash}
