"""Tables of labels, training data, nights, evaluations and re-readings."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import DERIVED, IDS_ONCE, Base, now, text_enum
from models.lease import LeaseColumns
from models.tables.intake import ModelVersion
from models.tables.people import Role, User
from pipeline.types import Split


class LabelValue(StrEnum):
    PNEUMONIA = "pneumonia"
    NORMAL = "normal"
    UNUSABLE = "unusable"  # not suitable for training, or undecidable


class Source(StrEnum):
    """Where a label came from."""

    PORTAL = "portal"
    CSV = "csv"
    DATASET = "dataset"  # of an imported data set


class Outcome(StrEnum):
    """How a night ended."""

    NOTHING = "nothing"  # not enough new labels or images
    REFUSED = "refused"  # by the gate
    PROPOSED = "proposed"  # the gate approved; an admin decides
    PROMOTED = "promoted"  # the gate approved, and the policy is automatic
    CANCELLED = "cancelled"
    FAILED = "failed"


class Answer(StrEnum):
    """An admin's decision on a night's candidate, whatever the gate decided."""

    PROMOTED = "promoted"
    REJECTED = "rejected"


class Label(Base):
    """A reader's label of one file's bytes. Append-only: a later row supersedes, none is edited.

    reader: who judged; the user's own name unless a CSV names another. role: the reader's, which
    decides between readers; None ranks below all: the label came with an imported set.
    """

    __tablename__ = "label"
    __table_args__ = (
        Index("ix_label_sha256_id", "sha256", "id"),
        Index("ix_label_created_at_source", "created_at", "source"),
        Index("ix_label_source_reader_read_at", "source", "reader", "read_at"),
        IDS_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of an image or an imported image
    value: Mapped[LabelValue] = mapped_column(text_enum(LabelValue))
    # None if the source names no patient.
    patient_hash: Mapped[str | None] = mapped_column(String(64))
    reader: Mapped[str] = mapped_column(String(80))
    role: Mapped[Role | None] = mapped_column(text_enum(Role))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))  # who submitted it
    source: Mapped[Source] = mapped_column(text_enum(Source))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("imported_dataset.id"))
    read_at: Mapped[datetime]  # when the reader judged
    created_at: Mapped[datetime] = mapped_column(default=now)

    user: Mapped[User] = relationship()


class ValidLabel(Base):
    """The label that counts for a file's bytes, kept with each new one; see
    `models.learning.labels`. Derived: a backup leaves it out, a restore makes it again.
    """

    __tablename__ = "valid_label"
    __table_args__ = (
        Index("ix_valid_label_is_conflict_label_id", "is_conflict", "label_id"),
        {"info": DERIVED},
    )

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[LabelValue] = mapped_column(text_enum(LabelValue))
    label_id: Mapped[int] = mapped_column(index=True)
    patient_hash: Mapped[str | None] = mapped_column(String(64))  # the latest that was named
    is_conflict: Mapped[bool]
    reader: Mapped[str] = mapped_column(String(80))
    role: Mapped[Role | None] = mapped_column(text_enum(Role))
    read_at: Mapped[datetime]
    dataset_id: Mapped[int | None]  # the first imported set that has it


class ImportedDataset(Base):
    """A labelled folder in the public layout, imported once."""

    __tablename__ = "imported_dataset"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    has_own_splits: Mapped[bool]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    report: Mapped[dict[str, Any]]  # counts, refused files, leaks found at import
    created_at: Mapped[datetime] = mapped_column(default=now)


class ImportedImage(Base):
    """One file of an imported set. Only its network input is in the file store."""

    __tablename__ = "imported_image"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("imported_dataset.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    # Path within the set. May contain a name: never logged.
    file: Mapped[str] = mapped_column(String(1024))
    patient_hash: Mapped[str] = mapped_column(String(64))
    study_hash: Mapped[str | None] = mapped_column(String(64))  # None if the file names no study
    split: Mapped[Split] = mapped_column(text_enum(Split))


class Fingerprint(Base):
    """Recognises equal and similar images; computed from their network inputs."""

    __tablename__ = "fingerprint"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    preprocessing: Mapped[str] = mapped_column(String(16), primary_key=True)
    input_sha256: Mapped[str] = mapped_column(String(64))  # of the network input's bytes
    perceptual_hash: Mapped[str] = mapped_column(String(64))  # 256 bits, hexadecimal


class DatasetSnapshot(Base):
    """Frozen training data. Equal data have an equal digest, and one row."""

    __tablename__ = "dataset_snapshot"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    report: Mapped[dict[str, Any]]  # counts, conflicts, leaks and the images left out
    created_at: Mapped[datetime] = mapped_column(default=now)


class SnapshotImage(Base):
    """One image of a snapshot, with everything that training needs."""

    __tablename__ = "snapshot_image"

    snapshot_id: Mapped[int] = mapped_column(ForeignKey("dataset_snapshot.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[LabelValue] = mapped_column(text_enum(LabelValue))
    label_id: Mapped[int] = mapped_column(ForeignKey("label.id"))
    patient_hash: Mapped[str] = mapped_column(String(64))
    split: Mapped[Split] = mapped_column(text_enum(Split))
    origin: Mapped[str] = mapped_column(String(80))  # "site", or the imported set's name


class Night(LeaseColumns, Base):
    """One run of the nightly job, with its results and decision.

    One worker claims it with a lease and runs its stages; each stage can be repeated, so a killed
    worker costs time and nothing else.
    """

    __tablename__ = "night"

    id: Mapped[int] = mapped_column(primary_key=True)
    due_at: Mapped[datetime | None] = mapped_column(unique=True)  # None: requested by a user
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))  # who requested it
    # True while open, then None: unique, so that there is never more than one open night.
    is_open: Mapped[bool | None] = mapped_column(unique=True, default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    is_cancelled: Mapped[bool] = mapped_column(default=False)  # a user cancelled it

    stage: Mapped[str] = mapped_column(String(16), default="waiting")
    share: Mapped[float] = mapped_column(default=0.0)  # of the training, in [0, 1]
    progress: Mapped[str] = mapped_column(String(300), default="")

    new_labels: Mapped[int | None]
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("dataset_snapshot.id"))
    # The version in production, and the one trained to replace it.
    production_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"))
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"))
    outcome: Mapped[Outcome | None] = mapped_column(text_enum(Outcome))
    reason: Mapped[str | None] = mapped_column(String(500))  # one sentence
    decision: Mapped[dict[str, Any] | None]  # the gate's numbers
    drift: Mapped[dict[str, Any] | None]

    answer: Mapped[Answer | None] = mapped_column(text_enum(Answer))
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    answered_at: Mapped[datetime | None]

    snapshot: Mapped[DatasetSnapshot | None] = relationship()
    production: Mapped[ModelVersion | None] = relationship(foreign_keys=[production_id])
    candidate: Mapped[ModelVersion | None] = relationship(foreign_keys=[candidate_id])


class Evaluation(Base):
    """One version on one snapshot's test images of one origin."""

    __tablename__ = "evaluation"
    __table_args__ = (UniqueConstraint("model_version_id", "snapshot_id", "origin"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("dataset_snapshot.id"))
    origin: Mapped[str] = mapped_column(String(80))
    # `pipeline.evaluation.evaluate.evaluate`, and the curves.
    figures: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Rereading(Base):
    """Earlier images predicted again with a newer version; old predictions stay."""

    __tablename__ = "rereading"
    __table_args__ = (UniqueConstraint("model_version_id", "operating_point"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    operating_point: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    after_image_id: Mapped[int] = mapped_column(default=0)  # done up to this image
    last_image_id: Mapped[int]  # later images are predicted by the version anyway
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    model_version: Mapped[ModelVersion] = relationship()
