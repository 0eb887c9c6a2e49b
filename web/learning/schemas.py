"""Fields of nights, model versions, re-readings and dataset snapshots."""

from datetime import datetime
from typing import Any

from pydantic import Field, StrictBool

from models.learning.deployments import Deployment
from models.tables.learning import Answer, Outcome
from pipeline.types import Split
from web.http.schemas import In, Out, Paging, Text


class NightOut(Out):
    """due_at: null if a user started it, named by `asked_by`.

    share: of the training, in [0, 1]. decision: figures of the gate. words: the state in short.
    """

    id: int
    due_at: datetime | None
    asked_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    is_open: bool
    is_cancelled: bool
    stage: str
    share: float
    progress: str
    words: str
    new_labels: int | None
    snapshot_id: int | None
    production: str | None
    candidate: str | None
    outcome: Outcome | None
    reason: str | None
    decision: dict[str, Any] | None
    drift: dict[str, Any] | None
    answer: Answer | None
    answered_by: str | None
    answered_at: datetime | None


class NightsOut(Out):
    nights: list[NightOut]
    next: int | None
    next_due: datetime | None


class VersionOut(Out):
    """night_id: the night that trained it. status: in words."""

    name: str
    created_at: datetime
    is_production: bool
    night_id: int | None
    status: str
    card: dict[str, Any]


class VersionsOut(Out):
    """live: the production version. back: target of a roll-back. history: newest first."""

    model_versions: list[VersionOut]
    live: str | None
    back: str | None
    history: list[Deployment]


class Promotion(In):
    """live: the expected production version; refused if it is another.

    despite_refusal: promote even if the gate refused.
    """

    live: Text | None = None
    reason: Text = Field("", max_length=300)
    despite_refusal: StrictBool = False


class RollBack(In):
    """live: the version to roll back from, so that a repeated request is refused."""

    live: Text
    reason: Text = Field("", max_length=300)


class MovedOut(Out):
    """live: the production version. back: target of a roll-back."""

    live: str
    back: str | None


class RereadingOut(Out):
    """done, total: images. is_waiting: another version or operating point is in use."""

    model_version: str
    operating_point: str
    created_at: datetime
    finished_at: datetime | None
    is_waiting: bool
    done: int
    total: int


class RereadingsOut(Out):
    rereadings: list[RereadingOut]


class LeaksOut(Out):
    """images: number excluded. words: one sentence per kind and pair of splits."""

    images: int = 0
    words: list[str] = Field(default_factory=list)


class SnapshotOut(Out):
    """digest: SHA-256 of images.csv. origins: images by label, and patients, of each split.

    conflicts: images on which readers disagree. without_input: labelled images without a stored
    network input. left_test: test images of earlier snapshots that are no longer used.
    """

    id: int
    digest: str
    created_at: datetime
    images: int = 0
    patients: int = 0
    origins: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)
    conflicts: int = 0
    unusable: int = 0
    without_input: int = 0
    left_test: int = 0
    leaks: LeaksOut = Field(default_factory=LeaksOut)


class SnapshotsOut(Out):
    snapshots: list[SnapshotOut]
    next: int | None


class SnapshotImagesQuery(Paging):
    split: Split | None = None
    origin: Text | None = Field(None, max_length=80)
