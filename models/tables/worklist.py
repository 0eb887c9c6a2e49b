"""Tables of what the work list sorts and filters by, and of counts that are kept.

Everything here is derived from other tables: a backup leaves it out, a restore makes it again.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import DERIVED, Base, text_enum

EVERYTHING = ""  # as a scope: all jobs
LABEL_LENGTH = 200  # characters that a list sorts by: databases limit what an index holds


class StudyFinding(StrEnum):
    """Of a study; none: no image has a finding."""

    PNEUMONIA = "pneumonia"
    NORMAL = "normal"
    NONE = "none"


class StudySummary(Base):
    """A study as the work list sorts it: by all its images, and by those of each of its jobs."""

    __tablename__ = "study_summary"
    __table_args__ = (
        *(
            Index(f"ix_study_summary_{column}", "scope", "finding", column, "study_id")
            for column in ("score", "created_at", "label", "images")
        ),
        {"info": DERIVED},
    )

    study_id: Mapped[int] = mapped_column(
        ForeignKey("study.id"), primary_key=True, autoincrement=False
    )
    scope: Mapped[str] = mapped_column(String(32), primary_key=True)  # a job's id, or EVERYTHING
    finding: Mapped[StudyFinding] = mapped_column(text_enum(StudyFinding))
    # Probability of the most suspicious image; below all probabilities without a finding.
    score: Mapped[float]
    created_at: Mapped[datetime]  # the study's
    label: Mapped[str] = mapped_column(String(LABEL_LENGTH))
    images: Mapped[int]
    predicted: Mapped[int]


class SummaryBasis(Base):
    """For which predictions the summaries were made. One row."""

    __tablename__ = "summary_basis"
    __table_args__ = (
        CheckConstraint("id = 1", name="ck_summary_basis_is_only"),
        {"info": DERIVED},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    operating_point: Mapped[str] = mapped_column(String(16))
    model_version_id: Mapped[int | None]  # in production; None before the first one
    # Summaries up to this study follow the columns above; None once all do.
    after_study_id: Mapped[int | None]


class KeptCount(Base):
    """Numbers of rows, kept by triggers on the counted table; see `models.counts`.

    Several rows of one topic, scope and value add up: on PostgreSQL each statement adds one, so
    that writers do not wait for one another.
    """

    __tablename__ = "kept_count"
    __table_args__ = (
        Index("ix_kept_count_topic_scope_value", "topic", "scope", "value"),
        {"info": DERIVED},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(String(64))
    n: Mapped[int]
