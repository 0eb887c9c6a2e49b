"""The leakage check on stored images, for snapshots and imports.

Missing fingerprints of network inputs are computed in small batches.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from models.context import AppContext
from models.learning.datasets import add_fingerprints, known_fingerprints
from models.query import batches
from pipeline.evaluation.fingerprint import Fingerprint, fingerprints
from pipeline.evaluation.leakage import CheckedImage, Leak, find_leaks
from pipeline.types import EQUIVALENT_PREPROCESSINGS, PREPROCESSING
from worker.night.inputs import read_inputs
from worker.night.membership import Candidate

BATCH = 256  # network inputs in memory at once: 13 MB


def _stored_fingerprints(context: AppContext, sha256s: Sequence[str]) -> dict[str, Fingerprint]:
    """By SHA-256. Each must have a network input in the store, or a fingerprint already.

    Raises MissingInputError.
    """
    with context.sessions() as session:
        rows: dict[str, tuple[str, str]] = {}
        for one in EQUIVALENT_PREPROCESSINGS:
            rows = known_fingerprints(session, sha256s, preprocessing=one) | rows
    known = {sha256: Fingerprint(*row) for sha256, row in rows.items()}
    missing = [sha256 for sha256 in dict.fromkeys(sha256s) if sha256 not in known]
    for batch in batches(missing, BATCH):
        inputs = read_inputs(context, batch)
        computed = dict(zip(batch, fingerprints(inputs), strict=True))
        with context.sessions.begin() as session:
            rows = {key: (one.input_sha256, one.perceptual_hash) for key, one in computed.items()}
            add_fingerprints(session, rows, preprocessing=PREPROCESSING)
        known |= computed
    return known


def stored_candidates(context: AppContext, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those with a network input in the file store."""
    has_input = context.store.has_network_input
    return [one for one in candidates if has_input(one.member.sha256, PREPROCESSING)]


def candidate_leaks(context: AppContext, candidates: Sequence[Candidate]) -> list[Leak]:
    """Raises MissingInputError."""
    found = _stored_fingerprints(context, [one.member.sha256 for one in candidates])
    images = [
        CheckedImage(
            one.member.sha256,
            one.member.split,
            one.member.patient_hash,
            one.study_hash,
            found[one.member.sha256],
        )
        for one in candidates
    ]
    return find_leaks(images, read_inputs=partial(read_inputs, context))
