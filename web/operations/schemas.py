"""Fields of the audit, purges and health checks."""

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from models.audit.verify import Check
from models.files.purge import PurgeCounts
from web.http.schemas import In, Out, Paging, out_model

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


AuditCheckOut = out_model(Check, "AuditCheckOut", is_intact=bool)


class Purge(In):
    """One job, or all that ended so many days ago. dry_run: count what would be deleted."""

    older_than_days: int | None = Field(None, ge=0, le=100_000)
    job_id: str | None = Field(None, min_length=1, max_length=32)
    dry_run: bool = True

    @model_validator(mode="after")
    def _check_is_one(self) -> Self:
        if (self.older_than_days is None) == (self.job_id is None):
            raise ValueError("say either older_than_days or job_id")
        return self


class PurgeOut(Out):
    """purged: images that this request deleted. done: nothing is left to delete.

    A request purges for a few seconds: repeat it until it is done.
    """

    dry_run: bool
    counts: PurgeCounts | None
    purged: int
    done: bool


class HealthOut(Out):
    status: Literal["ok", "unhealthy"]
    database: bool
    broker: bool
