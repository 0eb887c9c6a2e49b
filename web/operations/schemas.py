"""Fields of the audit, purges and health checks."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    create_model,
    model_validator,
)

from models.audit.verify import Check
from models.files.purge import PurgeCounts
from models.tables.terms import Meaning
from web.http.params import LARGEST
from web.http.schemas import In, Out, Paging, Text, one_of, out_model
from web.readiness import PARTS

EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)


def _day(text: str) -> date:
    """No row is outside these days; databases do not know all others, and the last has no next."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("expected a day such as 2026-03-01")
    return min(max(date.fromisoformat(text), EARLIEST), LATEST)


Day = Annotated[date, BeforeValidator(_day)]


class AuditQuery(BaseModel):
    """since, until: days in UTC, both whole."""

    action: Text | None = Field(None, max_length=40)
    person: Text | None = Field(None, max_length=80)
    since: Day | None = None
    until: Day | None = None


class AuditPageQuery(AuditQuery, Paging):
    """after, before: the row after which the page starts, or before which it ends."""

    after: int | None = Field(None, ge=1, le=LARGEST)
    before: int | None = Field(None, ge=1, le=LARGEST)

    def kept(self) -> dict[str, Any]:
        fields = set(AuditQuery.model_fields)
        return self.model_dump(mode="json", exclude_defaults=True, include=fields)


class AuditExportQuery(AuditQuery):
    format: Literal["jsonl", "csv"] = "jsonl"


class TermChange(BaseModel):
    """meaning: None where it is not known."""

    meaning: Meaning | None = None


AuditCheckOut = out_model(Check, "AuditCheckOut", is_intact=bool)


class Purge(In):
    """One job, or all that ended so many days ago. dry_run: count what would be deleted."""

    model_config = ConfigDict(json_schema_extra=one_of("older_than_days", "job_id"))

    older_than_days: StrictInt | None = Field(None, ge=0, le=100_000)
    job_id: Text | None = Field(None, min_length=1, max_length=32)
    dry_run: StrictBool = True

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


class AliveOut(Out):
    status: Literal["up"]


UpOrDown = Literal["up", "down"]


class _ReadinessOut(Out):
    """status: whether images that are sent now will be predicted.

    reasons: a short code for each part that is down.
    """

    status: UpOrDown
    reasons: dict[str, str]


_parts: dict[str, Any] = dict.fromkeys(PARTS, (UpOrDown, ...))
ReadinessOut: type[Out] = create_model(
    "ReadinessOut", __base__=_ReadinessOut, __doc__=_ReadinessOut.__doc__, **_parts
)
