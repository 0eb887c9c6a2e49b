"""Labels become a frozen snapshot.

one consistent view of labels, files and earlier snapshots -> members -> fingerprints -> leaks
      -> frozen in one transaction

A label that arrives after the view was taken is not in the snapshot, and therefore counts as new.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from models.context import AppContext
from models.learning.labelled_contents import LabelledContent, hold_view, labelled_contents
from models.learning.snapshots import LEFT_OUT, Member, Place, earlier_places, freeze
from models.tables.learning import DatasetSnapshot, LabelValue
from pipeline.evaluation.leakage import Leak, leak_report
from pipeline.types import Split
from worker.night.leaks import candidate_leaks, stored_candidates
from worker.night.membership import decide_members

log = logging.getLogger(__name__)


def take_snapshot(context: AppContext) -> DatasetSnapshot:
    """Without changes since the last one, that one again."""
    with context.sessions() as session:
        hold_view(session)
        contents, places = labelled_contents(session), earlier_places(session)
    wanted = decide_members(contents, places=places, key=context.secrets.identity_key)
    candidates = stored_candidates(context, wanted)
    leaks = candidate_leaks(context, candidates)
    kept_out = {leak.excluded for leak in leaks}
    members = [one.member for one in candidates if one.member.sha256 not in kept_out]
    report = _report(contents, members, leaks, places)
    report["without_input"] = len(wanted) - len(candidates)
    with context.sessions.begin() as session:
        snapshot = freeze(session, members, report=report)
    log.info("snapshot %d: %d images, %d kept out", snapshot.id, len(members), len(kept_out))
    return snapshot


def _report(
    contents: Sequence[LabelledContent],
    members: Sequence[Member],
    leaks: Sequence[Leak],
    places: dict[str, Place],
) -> dict[str, Any]:
    inside = {member.sha256 for member in members}
    return {
        "images": len(members),
        "patients": len({member.patient_hash for member in members}),
        "origins": _of_origins(members),
        "conflicts": sum(content.label.is_conflict for content in contents),
        "unusable": sum(content.label.value == LabelValue.UNUSABLE for content in contents),
        "left_test": _count_left_test(places, inside),
        "leaks": leak_report(leaks),
        LEFT_OUT: [one.label.label_id for one in contents if one.label.sha256 not in inside],
    }


def _of_origins(members: Iterable[Member]) -> dict[str, Any]:
    """origin -> split -> images by label, and patients."""
    images = Counter((one.origin, one.split, one.label) for one in members)
    patients = Counter((origin, split) for origin, split, _ in _patients(members))
    found: dict[str, Any] = {}
    for (origin, split, label), number in sorted(images.items()):
        of_split = found.setdefault(origin, {}).setdefault(split.value, {})
        of_split[label.value] = number
        of_split["patients"] = patients[origin, split]
    return found


def _patients(members: Iterable[Member]) -> set[tuple[str, Split, str]]:
    return {(one.origin, one.split, one.patient_hash) for one in members}


def _count_left_test(places: dict[str, Place], inside: Collection[str]) -> int:
    """Test images of earlier snapshots that a reader has called unusable since, or are gone."""
    tested = {sha256 for sha256, place in places.items() if place.split == Split.TEST}
    return len(tested.difference(inside))
