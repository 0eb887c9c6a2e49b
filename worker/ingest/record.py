"""One transaction for what was read, refused, lost and predicted of a chunk."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sqlalchemy.orm import Session

from models.context import AppContext
from models.files.garbage import delete_unneeded, hold_off_purges
from models.intake.claims import Claim, ClaimedImage, still_held
from models.intake.images import ReadImage, record_read
from models.intake.terms import Sighting, count_terms
from models.learning.promotion import production_version
from models.reading.predictions import add_first_predictions, finish_known
from models.reading.studies import NewStudy, get_or_create_studies
from models.worklist.summaries import summarise_files
from pipeline.errors import Reason
from pipeline.pseudonym import pseudonym
from pipeline.types import PREPROCESSING
from worker.ingest.read import Outcomes
from worker.predict import VersionPredictions


def record_outcomes(
    context: AppContext,
    claim: Claim,
    outcomes: Outcomes,
    predicted: VersionPredictions | None,
    session: Session,
) -> set[int]:
    """Returns the images that the claim still held: of the others nothing is recorded."""
    hold_off_purges(session)
    _leave_purged(context, outcomes)
    held = still_held(session, claim)  # else a study could be left without images
    read = [image for image in claim.images if image.id in held and image.sha256 in outcomes.read]
    studies = {image.id: _study(image, outcomes.read[image.sha256], context) for image in read}
    ids = get_or_create_studies(session, list(studies.values()))
    record_read(
        session,
        held,
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
    return held


def delete_unrecorded(
    context: AppContext, claim: Claim, read: dict[str, ReadImage], *, recorded: set[int]
) -> None:
    """A job that was cancelled or purged in between leaves no patient's image behind."""
    kept = {image.sha256 for image in claim.images if image.id in recorded}
    left = {sha256: one for sha256, one in read.items() if sha256 not in kept}
    if left:
        stored = {one.stored_sha256 for one in left.values()}
        delete_unneeded(context.sessions, context.store, stored=stored, inputs=left)


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
