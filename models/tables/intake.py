"""Tables of jobs, images and predictions. States of jobs and studies are computed from images."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import IDS_ONCE, Base, now, text_enum
from models.lease import LeaseColumns
from models.tables.people import User
from pipeline.errors import RefusalCode


class State(StrEnum):
    """State of an image. The first two wait for a worker, the others are final."""

    RECEIVED = "received"
    READY = "ready"
    PREDICTED = "predicted"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING_STATES = (State.RECEIVED, State.READY)
FINAL_STATES = (State.PREDICTED, State.REJECTED, State.FAILED, State.CANCELLED)
UNFINISHED_STATES = (State.FAILED, State.CANCELLED)  # final, but may be retried


class Job(Base):
    """One bulk upload."""

    __tablename__ = "job"
    __table_args__ = (UniqueConstraint("user_id", "key"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # uuid4 hex
    name: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    # Idempotency-Key of the request that created it: sent again, it gives the same job.
    key: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    # Set when the sender has sent everything; until then more files may be uploaded.
    closed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()


class Upload(Base):
    """A file that a job's sender has declared: arrived, on its way, or missing."""

    __tablename__ = "upload"
    __table_args__ = (
        UniqueConstraint("job_id", "file", "size", "sha256"),
        Index("ix_upload_job_id_arrived_at", "job_id", "arrived_at"),
        IDS_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    # Path within the upload, as Image.file; also of an archive. May contain a name: never logged.
    file: Mapped[str] = mapped_column(String(1024))
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    sha256: Mapped[str] = mapped_column(String(64), default="")  # empty if the sender named none
    received: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes stored durably
    created_at: Mapped[datetime] = mapped_column(default=now)
    arrived_at: Mapped[datetime | None]  # complete, checked, and its images have rows
    given_up_at: Mapped[datetime | None]  # the job was closed or cancelled without it


class Study(Base):
    """One examination of one patient, known only by keyed hashes."""

    __tablename__ = "study"
    __table_args__ = IDS_ONCE

    id: Mapped[int] = mapped_column(primary_key=True)
    # DICOM: keyed hash of the Study Instance UID. Other formats: of job and folder.
    study_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Keyed hash of the Patient ID; None if the file names no patient.
    patient_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    # For formats without Study Instance UID: folder within the upload, or a loose file's name.
    folder: Mapped[str | None] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Image(LeaseColumns, Base):
    """One file of one job."""

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("job_id", "file", "sha256"),
        Index("ix_image_state_job_id_id", "state", "job_id", "id"),
        Index("ix_image_state_attempts_id", "state", "attempts", "id"),
        Index("ix_image_sha256_state", "sha256", "state"),
        Index("ix_image_job_id_id", "job_id", "id"),
        Index("ix_image_job_id_state_id", "job_id", "state", "id"),
        Index("ix_image_job_id_finished_at", "job_id", "finished_at"),
        Index("ix_image_finished_at", "finished_at"),
        IDS_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"), index=True)
    # Path within the upload, with "/". May contain a name: never logged.
    file: Mapped[str] = mapped_column(String(1024))
    sha256: Mapped[str] = mapped_column(String(64))  # of the bytes as uploaded
    size: Mapped[int]  # bytes as uploaded
    state: Mapped[State] = mapped_column(text_enum(State), default=State.RECEIVED)
    # Why it was rejected, failed or cancelled: a clause without the file's name.
    reason: Mapped[str | None] = mapped_column(String(500))
    # The kind of reason; None unless rejected or failed.
    reason_code: Mapped[RefusalCode | None] = mapped_column(text_enum(RefusalCode, length=32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    # Set by ingest.
    media_type: Mapped[str | None] = mapped_column(String(40))
    stored_sha256: Mapped[str | None] = mapped_column(String(64))  # the de-identified file
    # DICOM: the pseudonymous UID of the stored file, see `pseudonymous_uid`.
    sop_instance_uid: Mapped[str | None] = mapped_column(String(64), index=True)
    rows: Mapped[int | None]
    columns: Mapped[int | None]
    # Which rule gave the range of grey levels: `pipeline.types.RangeRule`. None in earlier rows.
    range_rule: Mapped[str | None] = mapped_column(String(16))
    pixel_aspect: Mapped[float | None]  # height over width; None in earlier rows
    tags: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[str] | None]  # of decoding

    job: Mapped[Job] = relationship()
    study: Mapped[Study | None] = relationship()


class ModelVersion(Base):
    """One trained network. Its folder is written once and never changed."""

    __tablename__ = "model_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    # Relative to the data folder; None for the network that ships with the project.
    folder: Mapped[str | None] = mapped_column(String(200))
    card: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Move(StrEnum):
    """How a version came into production. A roll-back undoes the promotion before it."""

    PROMOTION = "promotion"
    ROLL_BACK = "roll-back"


class ModelAlias(Base):
    """Append-only history of an alias; its newest row is the current version."""

    __tablename__ = "model_alias"
    __table_args__ = (Index("ix_model_alias_name_id", "name", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))  # "production"
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    reason: Mapped[str] = mapped_column(String(500))
    move: Mapped[Move] = mapped_column(text_enum(Move), default=Move.PROMOTION)
    created_at: Mapped[datetime] = mapped_column(default=now)

    model_version: Mapped[ModelVersion] = relationship()


class Prediction(Base):
    """One model version's result for one file's bytes; images of equal bytes share it.

    Another operating point adds a row of its own: what was shown stays.
    """

    __tablename__ = "prediction"
    __table_args__ = (UniqueConstraint("sha256", "model_version_id", "operating_point"), IDS_ONCE)

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))  # Image.sha256
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"), index=True)
    logit: Mapped[float]
    probability: Mapped[float]
    threshold: Mapped[float]
    operating_point: Mapped[str] = mapped_column(String(16))  # of the threshold
    temperature: Mapped[float | None]  # None in rows of the first release
    finding: Mapped[str | None] = mapped_column(String(16))  # "pneumonia", "normal" or None
    unfamiliarity: Mapped[float]
    reason: Mapped[str | None] = mapped_column(String(500))  # why there is no finding
    warnings: Mapped[list[str]]
    # float16, little-endian, row by row, divided by heatmap_peak; it fits the image as stored.
    heatmap: Mapped[bytes] = mapped_column(LargeBinary)
    heatmap_rows: Mapped[int]
    heatmap_columns: Mapped[int]
    heatmap_peak: Mapped[float]
    # None in rows of the first release.
    heatmap_concentration: Mapped[float | None]
    heatmap_inside_body: Mapped[float | None]
    # Of the stored image, see `pipeline.upright`; None in earlier rows of images left as they were.
    orientation: Mapped[int | None]
    # As whose image it was read: `pipeline.types.Population`. None in earlier rows, and of versions
    # that read all alike.
    population: Mapped[str | None] = mapped_column(String(16))
    engine: Mapped[str] = mapped_column(String(80))  # name, version, precision
    created_at: Mapped[datetime] = mapped_column(default=now)

    model_version: Mapped[ModelVersion] = relationship()


class Audit(Base):
    """Append-only: who did what to which target, when. Each digest covers all rows before it."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_action_created_at", "action", "created_at"),
        Index("ix_audit_user_id_created_at", "user_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    action: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    digest: Mapped[str | None] = mapped_column(String(64))  # None in old rows until the next start


class AuditAnchor(Base):
    """That a row was anchored, see `models.audit.verify`. The row itself may be gone."""

    __tablename__ = "audit_anchor"

    audit_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    keyed_hash: Mapped[str] = mapped_column(String(64))


class DamagedFile(Base):
    """A stored file that was found damaged or lost, until it is whole again or nobody needs it."""

    __tablename__ = "damaged_file"
    __table_args__ = (UniqueConstraint("area", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(String(16))  # `models.files.damage.DamageArea`
    name: Mapped[str] = mapped_column(String(80))  # its hash, or a model version's name
    found_at: Mapped[datetime] = mapped_column(default=now)
