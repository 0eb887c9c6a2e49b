"""The work list's order: the studies after or before one, found by an index."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, literal, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.counts import kept_counts
from models.tables.worklist import EVERYTHING, StudyFinding, StudySummary

Order = Literal["probability", "created_at", "label", "images"]

_KEYS: dict[Order, InstrumentedAttribute[Any]] = {
    "probability": StudySummary.score,
    "created_at": StudySummary.created_at,
    "label": StudySummary.label,
    "images": StudySummary.images,
}


@dataclass(frozen=True)
class Listing:
    """job_id: studies with images of this job, by these images alone.

    Studies without a finding are last in either order of probability. Ties go by id.
    """

    order: Order = "probability"
    descending: bool = True
    finding: StudyFinding | None = None
    job_id: str | None = None

    @property
    def scope(self) -> str:
        return self.job_id or EVERYTHING

    @property
    def findings(self) -> list[StudyFinding]:
        return list(StudyFinding) if self.finding is None else [self.finding]

    def rank(self, finding: StudyFinding) -> int:
        return int(self.order == "probability" and finding == StudyFinding.NONE)


def count_studies(session: Session, listing: Listing) -> int:
    counts = kept_counts(session, "studies", scopes=[listing.scope])
    return sum(counts.get((listing.scope, finding), 0) for finding in listing.findings)


def studies_from(
    session: Session,
    listing: Listing,
    *,
    study_id: int | None = None,
    including: bool = False,
    backwards: bool = False,
    skip: int = 0,
    limit: int,
) -> list[int]:
    """Ids after a study, or before it, the nearest first; from an end where it is not listed.

    skip: how many to leave out, which takes longer the more they are.
    """
    anchor = session.get(StudySummary, (study_id, listing.scope)) if study_id else None
    found = [
        _of_finding(
            listing,
            finding,
            anchor,
            including=including,
            backwards=backwards,
            limit=skip + limit,
        )
        for finding in listing.findings
    ]
    rows = union_all(*(select(one.subquery()) for one in found)).subquery()
    ascending = listing.descending == backwards
    keys = (rows.c.key, rows.c.study_id)
    ordered = (
        rows.c.rank.desc() if backwards else rows.c.rank,
        *(key if ascending else key.desc() for key in keys),
    )
    return list(
        session.scalars(select(rows.c.study_id).order_by(*ordered).offset(skip).limit(limit))
    )


def _of_finding(
    listing: Listing,
    finding: StudyFinding,
    anchor: StudySummary | None,
    *,
    including: bool,
    backwards: bool,
    limit: int,
) -> Select[*tuple[Any, ...]]:
    """An index has these in order; those of several findings are merged."""
    key, rank = _KEYS[listing.order], listing.rank(finding)
    ascending = listing.descending == backwards
    keys = (key, StudySummary.study_id)
    rows = select(StudySummary.study_id, key.label("key"), literal(rank).label("rank")).where(
        StudySummary.scope == listing.scope, StudySummary.finding == finding
    )
    if anchor is not None:
        of_anchor = listing.rank(anchor.finding)
        if rank == of_anchor:
            here = tuple_(literal(getattr(anchor, key.key)), literal(anchor.study_id))
            place = tuple_(*keys)
            if ascending:
                rows = rows.where(place >= here if including else place > here)
            else:
                rows = rows.where(place <= here if including else place < here)
        elif (rank < of_anchor) != backwards:
            rows = rows.where(literal(False))
    return rows.order_by(*(one if ascending else one.desc() for one in keys)).limit(limit)
