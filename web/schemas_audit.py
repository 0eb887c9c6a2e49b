"""What the API says and accepts of the audit."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from web.schemas import Out, Paging

EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)  # there is no day after the last
NO_NUL = "^[^\\x00]*$"  # which PostgreSQL does not take


class AuditQuery(BaseModel):
    """since, until: days in UTC, both whole."""

    action: str | None = Field(None, max_length=40, pattern=NO_NUL)
    person: str | None = Field(None, max_length=80, pattern=NO_NUL)
    since: date | None = Field(None, ge=EARLIEST, le=LATEST)
    until: date | None = Field(None, ge=EARLIEST, le=LATEST)


class AuditPageQuery(AuditQuery, Paging):
    pass


class AuditExportQuery(AuditQuery):
    format: Literal["jsonl", "csv"] = "jsonl"


class AuditCheckOut(Out):
    """rows: that are as they were written, oldest first; last_id: the newest of them.

    broken: the first row that is not as it was written, or where one is missing.
    """

    is_intact: bool
    time: datetime
    rows: int
    last_id: int
    last_digest: str
    broken: int | None
    why: str
