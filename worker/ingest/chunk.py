"""Files become network inputs, and these predictions: received -> ready | predicted | rejected.

claim -> for each file's bytes: known already? else decode, shrink, de-identify -> store -> predict
      -> record -> delete the upload, which may name its patient

Images that cannot be predicted yet are ready, and predict is nudged. Images whose network input
is lost are sent back by predict: it is made again, from the upload where that came again, else from
the de-identified file.
"""

from functools import partial

from models.context import AppContext
from models.files.presence import require_store
from models.intake.claims import claim_images
from models.intake.terms import local_terms
from models.tables.intake import State
from pipeline.prepare.pool import DecoderPool
from worker.chunks import holding, jobs_of, record, report_late
from worker.enqueue import nudge_predict
from worker.ingest.read import find_known, read_new
from worker.ingest.record import delete_unrecorded, record_outcomes
from worker.predict import LivePredictor, OneStepPredictor
from worker.tidy import discard_uploads


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
    with holding(claim, context=context) as left:
        outcomes = find_known(context, claim)
        read_new(context, pool, claim, outcomes, known_terms)
        if outcomes.failed or outcomes.refused:
            require_store(context.store.root)  # it may have gone in between: no file is at fault
        read, predicted = dict(outcomes.read), None
        if predictor and outcomes.inputs and not context.stopping.is_set():
            tags = {sha256: outcomes.read[sha256].tags or {} for sha256 in outcomes.inputs}
            predicted = predictor.predict(outcomes.inputs, tags=tags)
        write = partial(record_outcomes, context, claim, outcomes, predicted)
        recorded = record(write, context=context)
        ended = [image for image in claim.images if outcomes.has(image.sha256)]
        left.difference_update(image.id for image in ended)
        report_late(sum(image.id not in recorded for image in ended))
        delete_unrecorded(context, claim, read, recorded=recorded)
    discard_uploads(context, [image.sha256 for image in claim.images if outcomes.has(image.sha256)])
    if read.keys() - (predicted.predictions.keys() if predicted else ()):
        nudge_predict(jobs=jobs_of(claim))
    return True
