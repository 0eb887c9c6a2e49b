"""The leakage check on stored images, for snapshots and imports.

Missing fingerprints of network inputs are computed in small batches.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.context import AppContext
from models.files.store import FileStore
from models.learning.datasets import add_fingerprints, known_fingerprints
from models.query import batches
from models.session import Sessions
from pipeline.evaluation.fingerprint import Fingerprint, fingerprints
from pipeline.evaluation.leakage import CheckedImage, Leak, find_leaks
from pipeline.types import PREPROCESSING
from worker.night.membership import Candidate

BATCH = 256  # network inputs in memory at once: 13 MB


def stored_fingerprints(
    sessions: Sessions, store: FileStore, sha256s: Sequence[str]
) -> dict[str, Fingerprint]:
    """By SHA-256. Each must have a network input in the store, or a fingerprint already."""
    with sessions() as session:
        rows = known_fingerprints(session, sha256s, preprocessing=PREPROCESSING)
    known = {sha256: Fingerprint(*row) for sha256, row in rows.items()}
    missing = [sha256 for sha256 in dict.fromkeys(sha256s) if sha256 not in known]
    for batch in batches(missing, BATCH):
        inputs = store.network_inputs(batch, PREPROCESSING)
        computed = dict(zip(batch, fingerprints(inputs), strict=True))
        with sessions.begin() as session:
            add_fingerprints(session, computed, preprocessing=PREPROCESSING)
        known |= computed
    return known


def stored_candidates(context: AppContext, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those with a network input in the file store."""
    has_input = context.store.has_network_input
    return [one for one in candidates if has_input(one.member.sha256, PREPROCESSING)]


def candidate_leaks(context: AppContext, candidates: Sequence[Candidate]) -> list[Leak]:
    sha256s = [one.member.sha256 for one in candidates]
    found = stored_fingerprints(context.sessions, context.store, sha256s)

    def read_inputs(some: Sequence[str]) -> NDArray[np.uint8]:
        return context.store.network_inputs(some, PREPROCESSING)

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
    return find_leaks(images, read_inputs=read_inputs)
