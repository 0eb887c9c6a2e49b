"""Take a snapshot of the labels.

one consistent read of labels, files and earlier snapshots -> members -> fingerprints -> leaks
      -> frozen in one transaction

A label added after that read is not in the snapshot, and therefore counts as new.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.context import AppContext
from models.learning.labelled_blobs import LabelledBlob, labelled_blobs, use_repeatable_read
from models.learning.snapshots import (
    LAST_LABEL,
    LEFT_OUT,
    NO_FILE,
    Member,
    PastMember,
    freeze,
    past_members,
)
from models.tables.learning import DatasetSnapshot, Label, LabelValue, ValidLabel
from pipeline.evaluation.leakage import Leak, leak_report
from pipeline.types import Split
from worker.night.leaks import candidate_leaks, stored_candidates
from worker.night.membership import decide_members

log = logging.getLogger(__name__)


def take_snapshot(context: AppContext) -> DatasetSnapshot:
    """Return the last snapshot again if nothing has changed."""
    with context.sessions() as session:
        use_repeatable_read(session)
        blobs, past = labelled_blobs(session), past_members(session)
        labels_so_far = _labels_so_far(session, blobs)
    wanted = decide_members(blobs, past=past, key=context.secrets.identity_key)
    candidates = stored_candidates(context, wanted)
    leaks = candidate_leaks(context, candidates)
    excluded = {leak.excluded for leak in leaks}
    members = [one.member for one in candidates if one.member.sha256 not in excluded]
    report = _report(blobs, members, leaks, past) | labels_so_far
    report["without_input"] = len(wanted) - len(candidates)
    with context.sessions.begin() as session:
        snapshot = freeze(session, members, report=report)
    log.info("snapshot %d: %d images, %d excluded", snapshot.id, len(members), len(excluded))
    return snapshot


def _labels_so_far(session: Session, blobs: Sequence[LabelledBlob]) -> dict[str, Any]:
    """So that `new_label_count` need not look at every label."""
    has_file = {blob.label.label_id for blob in blobs}
    valid = session.scalars(select(ValidLabel.label_id).order_by(ValidLabel.label_id))
    return {
        LAST_LABEL: session.scalar(select(func.max(Label.id))) or 0,
        NO_FILE: [label_id for label_id in valid if label_id not in has_file],
    }


def _report(
    blobs: Sequence[LabelledBlob],
    members: Sequence[Member],
    leaks: Sequence[Leak],
    past: dict[str, PastMember],
) -> dict[str, Any]:
    inside = {member.sha256 for member in members}
    tested = {sha256 for sha256, before in past.items() if before.split is Split.TEST}
    return {
        "images": len(members),
        "patients": len({member.patient_hash for member in members}),
        "origins": _of_origins(members),
        "conflicts": sum(blob.label.is_conflict for blob in blobs),
        "unusable": sum(blob.label.value == LabelValue.UNUSABLE for blob in blobs),
        "left_test": len(tested.difference(inside)),
        "leaks": leak_report(leaks),
        LEFT_OUT: [blob.label.label_id for blob in blobs if blob.label.sha256 not in inside],
    }


def _of_origins(members: Iterable[Member]) -> dict[str, Any]:
    """origin -> split -> images by label, and patients."""
    images = Counter((one.origin, one.split, one.label) for one in members)
    seen = {(one.origin, one.split, one.patient_hash) for one in members}
    patients = Counter((origin, split) for origin, split, _ in seen)
    found: dict[str, Any] = {}
    for (origin, split, label), number in sorted(images.items()):
        of_split = found.setdefault(origin, {}).setdefault(split.value, {})
        of_split[label.value] = number
        of_split["patients"] = patients[origin, split]
    return found
