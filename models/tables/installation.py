"""The table of the one installation that a database belongs to."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, now


class Installation(Base):
    __tablename__ = "installation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=lambda: uuid4().hex)
    # Always true, and unique: there is one row.
    is_only: Mapped[bool] = mapped_column(default=True, unique=True)
    key_fingerprint: Mapped[str] = mapped_column(String(64))  # of the identity key
    created_at: Mapped[datetime] = mapped_column(default=now)
