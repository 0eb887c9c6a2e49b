"""Files become network inputs, and these predictions: received -> ready | predicted | rejected.

claim -> for each file's bytes: known already? else decode, shrink, de-identify -> store -> predict
      -> record -> delete the upload, which may name its patient

Images that cannot be predicted yet are ready, and predict is nudged. Images whose network input
is lost are sent back by predict: it is made again, from the upload where that came again, else from
the de-identified file.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from models.context import AppContext
from models.files.damage import Damage, damaged_among, note_damage
from models.files.garbage import delete_unneeded, hold_off_purges
from models.files.presence import require_store
from models.intake.claims import Claim, ClaimedImage, claim_images, still_held
from models.intake.images import ReadImage, find_known_images, record_read
from models.intake.terms import Sighting, count_terms, local_terms
from models.learning.promotion import production_version
from models.reading.predictions import add_first_predictions, finish_known
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import State
from models.worklist.summaries import summarise_files
from pipeline.atomic_file import FileGroup
from pipeline.errors import DamagedFileError, DecoderError, Reason, RefusalCode, RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.pseudonym import pseudonym
from pipeline.types import PREPROCESSING, LocalTerms, Prepared
from worker.chunks import (
    NoDecodersError,
    by_turns,
    describe,
    holding,
    jobs_of,
    raise_if_passing,
    record,
    report_late,
)
from worker.enqueue import nudge_predict
from worker.predict import LivePredictor, OneStepPredictor, VersionPredictions
from worker.tidy import discard_uploads

log = logging.getLogger(__name__)

CHUNK_S = 2.0  # then no more files of a chunk are started: urgent images wait for its end
MISSING = Reason(RefusalCode.BYTES_MISSING, "the uploaded file is no longer in the file store")
DAMAGED = Reason(
    RefusalCode.BYTES_DAMAGED, "the uploaded file was damaged in the file store: send it again"
)
UNREADABLE = Reason(
    RefusalCode.BYTES_DAMAGED,
    "the uploaded file cannot be read in the file store: retry it, or send it again",
)
STORED_DAMAGED = Reason(
    RefusalCode.BYTES_DAMAGED, "the network input is lost and the stored file is damaged"
)


@dataclass
class Outcomes:
    """Of a chunk, by SHA-256; files in none of them were not started."""

    read: dict[str, ReadImage] = field(default_factory=dict)
    refused: dict[str, Reason] = field(default_factory=dict)
    failed: dict[str, Reason] = field(default_factory=dict)
    # Read before, but the network input is lost and only the de-identified file is left.
    to_restore: dict[str, ReadImage] = field(default_factory=dict)
    # Of newly read files.
    inputs: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    # By keyword, words of newly read files that no table knows. They may be names.
    unknown_terms: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def has(self, sha256: str) -> bool:
        return sha256 in self.read or sha256 in self.refused or sha256 in self.failed


def ingest_chunk(context: AppContext, pool: DecoderPool, live: LivePredictor | None = None) -> bool:
    """Returns whether there was anything to do. Raises PassingError and StoreAwayError.

    live: None leaves all predictions to the predict worker.
    """
    require_store(context.store.root)
    # Before the claim, since it may take seconds.
    predictor = OneStepPredictor.open(context, live) if live else None
    with context.sessions.begin() as session:
        claim = claim_images(session, State.RECEIVED, context.settings)
        known_terms = local_terms(session)
    if not claim.images:
        return False
    with holding(claim, context=context):
        outcomes = _find_known(context, claim)
        _read_new(context, pool, claim, outcomes, known_terms)
        if outcomes.failed or outcomes.refused:
            require_store(context.store.root)  # it may have gone in between: no file is at fault
        read, predicted = dict(outcomes.read), None
        if predictor and outcomes.inputs and not context.stopping.is_set():
            predicted = predictor.predict(outcomes.inputs)
        write = partial(_record, context, claim, outcomes, predicted)
        recorded = record(write, context=context)
        ended = [image for image in claim.images if outcomes.has(image.sha256)]
        report_late(sum(image.id not in recorded for image in ended))
        _delete_unrecorded(context, claim, read, recorded=recorded)
    discard_uploads(context, [image.sha256 for image in claim.images if outcomes.has(image.sha256)])
    if read.keys() - (predicted.predictions.keys() if predicted else ()):
        nudge_predict(jobs=jobs_of(claim))
    return True


def _find_known(context: AppContext, claim: Claim) -> Outcomes:
    hashes = [image.sha256 for image in claim.images]
    outcomes = Outcomes()
    with context.sessions() as session:
        images = find_known_images(session, hashes)
        stored = [image.stored_sha256 for image in images.values() if image.stored_sha256]
        damaged = damaged_among(session, "stored", stored)
    for sha256 in hashes:
        image = images.get(sha256)
        known = ReadImage.of_row(image) if image else None
        has_upload = context.store.exists(sha256, area="incoming")
        if known and not context.store.exists(known.stored_sha256):
            known = None
        elif known and known.stored_sha256 in damaged and has_upload:
            known = None  # and its stored file is written over
        if known and context.store.renew_network_input(sha256, PREPROCESSING):
            outcomes.read[sha256] = known
        elif has_upload:
            continue
        elif known:
            outcomes.to_restore[sha256] = known
        elif image is None or image.reason is None or image.reason_code is None:
            outcomes.failed[sha256] = MISSING
        else:  # refused before, and its bytes deleted for it: the same bytes get the same answer
            ended = outcomes.refused if image.state == State.REJECTED else outcomes.failed
            ended[sha256] = Reason(image.reason_code, image.reason)
    return outcomes


def _read_new(
    context: AppContext,
    pool: DecoderPool,
    claim: Claim,
    outcomes: Outcomes,
    known_terms: LocalTerms,
) -> None:
    """Stops early, with what it has, when the process is asked to stop or time runs out."""
    settings, began = context.settings, time.monotonic()
    deadline = began + settings.soft_chunk_time_limit_s - settings.decode_timeout_s

    def paths(new: Sequence[str]) -> Iterator[Path]:
        for sha256 in new:
            if time.monotonic() > began + CHUNK_S:
                return
            yield _path(context, sha256, outcomes)

    def decode() -> Iterator[tuple[str, Prepared | RefusedError]]:
        new = [sha256 for sha256 in by_turns(claim) if not outcomes.has(sha256)]
        answers = pool.prepare_all(paths(new), local_terms=known_terms)
        for answer, sha256 in zip(answers, new, strict=False):
            if context.stopping.is_set():
                return  # before the answer is used: its decoder may have been stopped
            yield sha256, answer
            if time.monotonic() > deadline:
                return

    try:
        with context.store.group() as files:
            for sha256, answer in decode():
                if (loss := _loss(context, sha256, outcomes)) is not None:
                    outcomes.failed[sha256] = loss
                elif isinstance(answer, RefusedError):
                    outcomes.refused[sha256] = answer.reason
                else:
                    outcomes.unknown_terms[sha256] = answer.unknown_terms
                    outcomes.inputs[sha256] = answer.network_input
                    outcomes.read[sha256] = _store(context, files, sha256, answer, outcomes)
    except DecoderError as error:  # a decoder does not start, which is no file's fault
        raise NoDecodersError(str(error)) from error


def _loss(context: AppContext, sha256: str, outcomes: Outcomes) -> Reason | None:
    """Compare with its hash what was decoded, while the system's cache still has it."""
    known = outcomes.to_restore.get(sha256)
    moment = time.time()
    try:
        if known:
            context.store.checked_path(known.stored_sha256)
        else:
            context.store.checked_path(sha256, area="incoming")
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        raise_if_passing(error)
        log.error("a file cannot be read, %s: %s", sha256[:12], describe(error))
        loss = UNREADABLE
    except DamagedFileError:
        log.error("a file is damaged: %s", sha256[:12])
        loss = DAMAGED
    else:
        return None
    if known:
        with context.sessions.begin() as session:
            note_damage(session, [Damage("stored", known.stored_sha256)])
        return STORED_DAMAGED
    if loss == DAMAGED:  # a retry is then told that it is missing
        context.store.delete(sha256, before=moment)  # it may have been sent again
    return loss


def _path(context: AppContext, sha256: str, outcomes: Outcomes) -> Path:
    if sha256 in outcomes.to_restore:
        return context.store.path(outcomes.to_restore[sha256].stored_sha256)
    return context.store.path(sha256, area="incoming")


def _store(
    context: AppContext, files: FileGroup, sha256: str, prepared: Prepared, outcomes: Outcomes
) -> ReadImage:
    context.store.put_network_input(sha256, PREPROCESSING, prepared.network_input, group=files)
    if sha256 in outcomes.to_restore:
        return outcomes.to_restore[sha256]
    stored = prepared.stored
    assert stored is not None, "the pool has a key"
    return ReadImage(
        media_type=stored.media_type,
        stored_sha256=context.store.put_bytes(stored.blob, group=files).sha256,
        rows=prepared.rows,
        columns=prepared.columns,
        range_rule=prepared.range_rule,
        pixel_aspect=prepared.pixel_aspect,
        tags=prepared.tags,
        warnings=list(prepared.warnings),
        sop_instance_uid=stored.sop_instance_uid,
        study_hash=stored.study_uid_hash,
        patient_hash=stored.patient_hash,
    )


def _record(
    context: AppContext,
    claim: Claim,
    outcomes: Outcomes,
    predicted: VersionPredictions | None,
    session: Session,
) -> set[int]:
    """Returns the images that are recorded."""
    hold_off_purges(session)
    _leave_purged(context, outcomes)
    held = still_held(session, claim)  # else a study could be left without images
    read = [image for image in claim.images if image.id in held and image.sha256 in outcomes.read]
    studies = {image.id: _study(image, outcomes.read[image.sha256], context) for image in read}
    ids = get_or_create_studies(session, list(studies.values()))
    recorded = record_read(
        session,
        claim,
        read={
            image.id: (outcomes.read[image.sha256], ids[studies[image.id].study_hash])
            for image in read
        },
        refused=_by_image(claim.images, outcomes.refused),
        failed=_by_image(claim.images, outcomes.failed),
    )
    sightings = [
        Sighting(keyword, word, studies[image.id].patient_hash or studies[image.id].study_hash)
        for image in read
        for keyword, word in outcomes.unknown_terms.get(image.sha256, {}).items()
    ]
    count_terms(session, sightings, key=context.secrets.identity_key)
    ready = {image.sha256 for image in read}
    if predicted is not None:
        new = predicted.predictions
        add_first_predictions(
            session,
            {sha256: new[sha256] for sha256 in ready & new.keys()},
            model_version_id=predicted.version_id,
            engine=predicted.engine,
        )
    finished = _finish_predicted(context, outcomes, session)
    summarise_files(session, ready | finished)  # in one call, which locks studies in one order
    return recorded


def _finish_predicted(context: AppContext, outcomes: Outcomes, session: Session) -> set[str]:
    """Returns the SHA-256s of images that are finished, also of those that others hold."""
    production = production_version(session)
    if production is None:
        return set()
    return finish_known(
        session,
        list(outcomes.read),
        model_version_id=production.id,
        operating_point=context.settings.operating_point,
    )


def _delete_unrecorded(
    context: AppContext, claim: Claim, read: dict[str, ReadImage], *, recorded: set[int]
) -> None:
    """A job that was cancelled or purged in between leaves no patient's image behind."""
    kept = {image.sha256 for image in claim.images if image.id in recorded}
    left = {sha256: one for sha256, one in read.items() if sha256 not in kept}
    if left:
        stored = {one.stored_sha256 for one in left.values()}
        delete_unneeded(context.sessions, context.store, stored=stored, inputs=left)


def _leave_purged(context: AppContext, outcomes: Outcomes) -> None:
    """Files shared with images that were just purged are gone: these are read again."""
    gone = [
        sha256
        for sha256, read in outcomes.read.items()
        if not context.store.exists(read.stored_sha256)
        or not context.store.has_network_input(sha256, PREPROCESSING)
    ]
    for sha256 in gone:
        del outcomes.read[sha256]


def _study(image: ClaimedImage, read: ReadImage, context: AppContext) -> NewStudy:
    """DICOM files name their study; other files are grouped by folder.

    A file without a folder is a study of its own: files picked in a dialog are not one patient's.
    """
    if read.study_hash is not None:
        return NewStudy(read.study_hash, read.patient_hash)
    path = PurePosixPath(image.file)
    folder = str(path if path.parent == PurePosixPath() else path.parent)
    key = context.secrets.identity_key
    study_hash = pseudonym(key, "folder", image.job_id, folder)
    return NewStudy(study_hash, read.patient_hash, folder)


def _by_image(images: Iterable[ClaimedImage], by_hash: dict[str, Reason]) -> dict[int, Reason]:
    return {image.id: by_hash[image.sha256] for image in images if image.sha256 in by_hash}
