"""The leakage check on stored images: of a snapshot, and of a set that is being imported."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.network_input import PREPROCESSING
from pipeline.evaluation.fingerprint import Fingerprint
from pipeline.evaluation.leakage import Film, Leak, find_leaks
from worker.doors import Doors
from worker.fingerprints import stored_fingerprints
from worker.membership import Candidate


def stored_candidates(doors: Doors, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those with a network input in the file store."""
    has_input = doors.store.has_network_input
    return [one for one in candidates if has_input(one.member.sha256, PREPROCESSING)]


def candidate_leaks(doors: Doors, candidates: Sequence[Candidate]) -> list[Leak]:
    """All must be stored."""
    sha256s = [one.member.sha256 for one in candidates]
    found = stored_fingerprints(doors.sessions, doors.store, sha256s)

    def read_inputs(some: Sequence[str]) -> NDArray[np.uint8]:
        return doors.store.network_inputs(some, PREPROCESSING)

    films = [_film(one, found[one.member.sha256]) for one in candidates]
    return find_leaks(films, read_inputs=read_inputs)


def _film(one: Candidate, fingerprint: Fingerprint) -> Film:
    member = one.member
    return Film(member.sha256, member.split.value, member.patient_hash, one.study_hash, fingerprint)
