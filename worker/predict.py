"""Network inputs become predictions: ready -> predicted.

Imports neither decoders nor TensorFlow, so that the process stays small and starts fast.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from models.context import AppContext
from models.files.damage import Damage, note_damage
from models.files.presence import require_store
from models.intake.claims import Claim, claim_images
from models.intake.images import find_known_images, record_failed, send_back, tags_of
from models.learning.promotion import production_version
from models.learning.versions import version_path
from models.reading.predictions import finish_known, record_predictions
from models.tables.intake import ModelVersion, State
from models.worklist.summaries import summarise_files
from pipeline.errors import DamagedFileError, NetworkFolderError, Reason, RefusalCode
from pipeline.inference.predictor import BLANK, Predictor
from pipeline.subject import populations_in
from pipeline.types import EQUIVALENT_PREPROCESSINGS, Population, Prediction
from worker.chunks import (
    PASSING,
    VersionError,
    describe,
    holding,
    raise_if_passing,
    record,
    report_late,
)
from worker.enqueue import nudge_ingest

log = logging.getLogger(__name__)

MISSING = Reason(RefusalCode.BYTES_MISSING, "the network input is no longer in the file store")
DAMAGED = Reason(RefusalCode.BYTES_DAMAGED, "the network input in the file store is damaged")
UNEXPECTED = Reason(RefusalCode.UNEXPECTED, "unexpected error")


class LivePredictor:
    """The network of the production version, opened again when production has changed."""

    def __init__(self) -> None:
        self._version_id: int | None = None
        self._predictor: Predictor | None = None

    def open_production(self, context: AppContext) -> tuple[ModelVersion, Predictor]:
        """Raises VersionError."""
        with context.sessions() as session:
            version = production_version(session)
        if version is None:
            raise VersionError("no model version is in production")
        return version, self.open(version, context)

    def open(self, version: ModelVersion, context: AppContext) -> Predictor:
        """Raises VersionError, whatever the cause."""
        if self._predictor is None or version.id != self._version_id:
            path = version_path(version, data_dir=context.settings.data_dir)
            point = context.settings.operating_point
            self._predictor = None
            try:
                predictor = Predictor.open(
                    path, operating_point=point, cache=context.settings.cache_dir
                )
                predictor.predict(BLANK)
            except NetworkFolderError as error:
                raise VersionError(str(error)) from error
            except Exception as error:
                log.debug("the version cannot be opened", exc_info=True)
                raise VersionError(f"{version.name} cannot be opened: {_words(error)}") from error
            self._predictor, self._version_id = predictor, version.id
            log.warning("predicting with model version %s, %s", version.name, point)
        return self._predictor

    def forget(self) -> None:
        """Open the version again for the next chunk."""
        self._predictor = None


def _words(error: Exception) -> str:
    """Of an error that has read no patient's file."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__


@dataclass(frozen=True)
class VersionPredictions:
    """predictions: of one version, by SHA-256."""

    version_id: int
    engine: str
    predictions: Mapping[str, Prediction]


@dataclass(frozen=True)
class OneStepPredictor:
    """Predicts network inputs in the step that made them. If it fails, their images stay ready, and
    `predict_chunk` finds out what is wrong.
    """

    version_id: int
    predictor: Predictor

    @classmethod
    def open(cls, context: AppContext, live: LivePredictor) -> "OneStepPredictor | None":
        try:
            version, predictor = live.open_production(context)
        except VersionError as error:  # which the predict worker reports
            log.info("images will be predicted later: %s", describe(error))
            return None
        reads_new_inputs = _preprocessing(predictor) in EQUIVALENT_PREPROCESSINGS
        return cls(version.id, predictor) if reads_new_inputs else None

    def predict(
        self, inputs: Mapping[str, NDArray[np.uint8]], *, tags: Mapping[str, Mapping[str, str]]
    ) -> VersionPredictions | None:
        """inputs, tags: by SHA-256."""
        population_of = populations_in(tags).get
        try:
            predictions = dict(
                self.predictor.predict_each(inputs.items(), population_of=population_of)
            )
        except Exception as error:
            log.warning("%d images will be predicted later: %s", len(inputs), describe(error))
            return None
        return VersionPredictions(self.version_id, self.predictor.engine.name, predictions)


def _preprocessing(predictor: Predictor) -> str:
    return str(predictor.card.raw["preprocessing"])


def predict_chunk(context: AppContext, live: LivePredictor) -> bool:
    """Returns whether there was anything to do. Raises PassingError and StoreAwayError."""
    # Before the claim: if one of these fails, no image is at fault.
    require_store(context.store.root)
    version, predictor = live.open_production(context)
    claim, known = _claim(context, version)
    if not claim.images:
        return False
    new = list(dict.fromkeys(image.sha256 for image in claim.images if image.sha256 not in known))
    with holding(claim, context=context) as left:
        _predict(context, claim, new, predictor=predictor, version=version)
        left.clear()
    return True


def _claim(context: AppContext, version: ModelVersion) -> tuple[Claim, set[str]]:
    """Also finishes, and returns, the claimed SHA-256s that this version has predicted before."""
    settings = context.settings
    with context.sessions.begin() as session:
        claim = claim_images(session, State.READY, settings)
        hashes = [image.sha256 for image in claim.images]
        known = finish_known(
            session, hashes, model_version_id=version.id, operating_point=settings.operating_point
        )
        summarise_files(session, known)
        return claim, known


def _predict(
    context: AppContext,
    claim: Claim,
    new: Sequence[str],
    *,
    predictor: Predictor,
    version: ModelVersion,
) -> None:
    predictions, failed = predict_stored(context, predictor, new)
    lost = [sha256 for sha256, reason in failed.items() if reason in (MISSING, DAMAGED)]
    restorable = _restorable(context, lost)
    back = [image.id for image in claim.images if image.sha256 in restorable]
    reasons = {
        image.id: failed[image.sha256]
        for image in claim.images
        if image.sha256 in failed.keys() - restorable
    }

    def write(session: Session) -> int:
        late = record_predictions(
            session, claim, predictions, model_version_id=version.id, engine=predictor.engine.name
        )
        record_failed(session, claim, reasons)
        send_back(session, claim, back)
        return late

    report_late(record(write, context=context))
    if back:
        log.warning("%d network inputs are lost and will be made again", len(restorable))
        nudge_ingest()


def _restorable(context: AppContext, sha256s: Sequence[str]) -> set[str]:
    """Those whose de-identified file is there, to make the network input from."""
    if not sha256s:
        return set()
    with context.sessions() as session:
        images = find_known_images(session, sha256s)
    return {
        sha256
        for sha256, image in images.items()
        if image.stored_sha256 and context.store.exists(image.stored_sha256)
    }


def predict_stored(
    context: AppContext, predictor: Predictor, sha256s: Sequence[str]
) -> tuple[dict[str, Prediction], dict[str, Reason]]:
    """By SHA-256: predictions of stored network inputs, and a reason for each without one."""
    preprocessing = _preprocessing(predictor)
    inputs: dict[str, NDArray[np.uint8]] = {}
    failed: dict[str, Reason] = {}
    for sha256 in sha256s:
        try:
            inputs[sha256] = context.store.network_input(sha256, preprocessing)
        except FileNotFoundError:
            failed[sha256] = MISSING
        except DamagedFileError:
            failed[sha256] = DAMAGED
        except OSError as error:
            raise_if_passing(error)
            context.store.discard_network_input(sha256, preprocessing)
            failed[sha256] = DAMAGED
    if failed:
        require_store(context.store.root)  # it may have gone in between: no image is at fault
    if damaged := [sha256 for sha256, reason in failed.items() if reason == DAMAGED]:
        with context.sessions.begin() as session:
            note_damage(session, (Damage("inputs", sha256) for sha256 in damaged))
    populations: dict[str, Population | None] = {}
    if predictor.card.populations:
        with context.sessions() as session:
            populations = populations_in(tags_of(session, list(inputs)))
    return _answer_all(predictor, inputs, populations, failed), failed


def _answer_all(
    predictor: Predictor,
    inputs: dict[str, NDArray[np.uint8]],
    populations: Mapping[str, Population | None],
    failed: dict[str, Reason],
) -> dict[str, Prediction]:
    """All at once; if that fails, one by one, so that only the faulty image fails."""
    try:
        return dict(predictor.predict_each(inputs.items(), population_of=populations.get))
    except PASSING:
        raise
    except Exception:
        log.exception("a chunk of %d images failed; trying them one by one", len(inputs))
    answers: dict[str, Prediction] = {}
    for sha256, network_input in inputs.items():
        try:
            stated = [populations.get(sha256)]
            answers[sha256] = predictor.predict(network_input[None], populations=stated)[0]
        except Exception:
            log.exception("an image failed unexpectedly")
            failed[sha256] = UNEXPECTED
    if not answers:
        _require_engine(predictor)
    return answers


def _require_engine(predictor: Predictor) -> None:
    """Raises PassingError if it fails for a blank image, too: then no image is at fault."""
    try:
        predictor.predict(BLANK)
    except Exception as error:
        raise VersionError(f"the network fails for every image: {_words(error)}") from error
