"""Snapshots of phantoms, with their network inputs."""

from collections.abc import Iterable
from dataclasses import dataclass

from models.base import now
from models.context import AppContext
from models.learning.snapshots import SITE, Member, freeze
from models.tables.learning import DatasetSnapshot, Label, LabelValue, Source
from pipeline.phantom.drawing import draw_phantom
from pipeline.types import PREPROCESSING, Finding, Split
from tests.support.data.rows import a_hash, a_user

FINDINGS: tuple[Finding, ...] = ("normal", "pneumonia")


@dataclass(frozen=True)
class Phantom:
    """patient: without one, a patient of its own."""

    finding: Finding
    seed: int
    split: Split = Split.TEST
    origin: str = SITE
    patient: str = ""


def freeze_phantoms(
    context: AppContext, phantoms: Iterable[Phantom], *, is_drawn: bool = True
) -> DatasetSnapshot:
    """is_drawn: whether network inputs are stored, too."""
    members = []
    with context.sessions.begin() as session:
        user_id = a_user(session).id
        for number, one in enumerate(phantoms):
            sha256, value = a_hash(f"phantom {number}"), LabelValue(one.finding)
            label = Label(
                sha256=sha256, value=value, reader="rita", user_id=user_id,
                source=Source.CSV, read_at=now(),
            )  # fmt: skip
            session.add(label)
            session.flush()
            patient = a_hash(one.patient or sha256)
            members.append(Member(sha256, value, one.split, one.origin, patient, label.id))
            if is_drawn:
                drawn = draw_phantom(seed=one.seed, finding=one.finding, size=(224, 224))
                context.store.put_network_input(sha256, PREPROCESSING, drawn)
        return freeze(session, members, report={})
