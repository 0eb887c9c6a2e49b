"""The table of words that images state and no built-in table knows."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import IDS_ONCE, Base, now, text_enum


class Meaning(StrEnum):
    """What an admin says of a word. The values are stored: never rename one."""

    FITTING = "fitting"  # the chest, or a frontal view
    OTHER = "other"  # another part, or another view


class UnknownTerm(Base):
    """A code string of Body Part Examined or View Position. It may be a patient's name.

    So it is known by a keyed hash only until it came from several patients.
    """

    __tablename__ = "unknown_term"
    __table_args__ = (UniqueConstraint("keyword", "term_hash"), IDS_ONCE)

    id: Mapped[int] = mapped_column(primary_key=True)
    keyword: Mapped[str] = mapped_column(String(64))  # PS3.6
    term_hash: Mapped[str] = mapped_column(String(64))
    value: Mapped[str | None] = mapped_column(String(16))
    # Hashes of the patients that it came from; empty once `value` is set.
    patients: Mapped[list[str]]
    images: Mapped[int] = mapped_column(default=0)
    meaning: Mapped[Meaning | None] = mapped_column(text_enum(Meaning, length=16))
    first_seen_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime] = mapped_column(default=now)
