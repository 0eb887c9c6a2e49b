"""The table of the service's processes: who is alive, and what keeps it from its work."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, text_enum


class Problem(StrEnum):
    """Why a worker cannot work. The values are part of the API: never rename one."""

    VERSION = "cannot-open-version"
    DECODERS = "decoders-do-not-start"
    FILES = "files-unavailable"
    DATABASE = "database-fails"
    TASKS = "tasks-fail"


class Worker(Base):
    """One process of a role on one host; it writes its row every few seconds."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)  # role/node, or role@host
    role: Mapped[str] = mapped_column(String(16))
    seen_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]  # its last task; None: since its start, none
    failed_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    problem: Mapped[Problem | None] = mapped_column(text_enum(Problem, length=32))
    problem_since: Mapped[datetime | None]
