"""What the API says of dataset snapshots."""

from datetime import datetime

from pydantic import Field

from models.tables.learning import Split
from web.schemas import Out, Paging


class LeaksOut(Out):
    """images: kept out in all. words: one sentence for each kind and pair of splits."""

    images: int = 0
    words: list[str] = Field(default_factory=list)


class SnapshotOut(Out):
    """digest: the SHA-256 of images.csv. origins: images by label, and patients, of each split.

    conflicts: images on which readers disagree. without_input: labelled ones that the file store
    has no network input of. left_test: test images of earlier snapshots that are in none now.
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
    origin: str | None = Field(None, max_length=80)
