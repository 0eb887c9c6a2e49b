"""Fingerprints of stored network inputs: computed where they are missing, in small batches."""

from collections.abc import Sequence

from models.files.store import FileStore
from models.learning.datasets import add_fingerprints, known_fingerprints
from models.query import batches
from models.session import Sessions
from pipeline.decode.network_input import PREPROCESSING
from pipeline.evaluation.fingerprint import Fingerprint, fingerprints

BATCH = 256  # network inputs in memory at once: 13 MB


def stored_fingerprints(
    sessions: Sessions, store: FileStore, sha256s: Sequence[str]
) -> dict[str, Fingerprint]:
    """By content. Each must have a network input in the store, or a fingerprint already."""
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
