"""Audit rows for people: filtered by action, person and time, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, func, literal, select, tuple_
from sqlalchemy.orm import Session

from models.audit.log import PAGE_SIZE
from models.counts import count_by_value
from models.tables.intake import Audit
from models.tables.people import User

MOST_COUNTED = 10_000  # rows that a filter of several parts matches


@dataclass(frozen=True)
class AuditRow:
    """person: the user's name; None where nobody was logged in."""

    id: int
    created_at: datetime
    person: str | None
    action: str
    target: str
    digest: str | None


@dataclass(frozen=True)
class AuditFilter:
    """since, until: whole days in UTC, both inclusive."""

    action: str | None = None
    person: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class AuditPage:
    """Newest first. total: None where there are more than are counted.

    before, after: of the links to the previous and the next page; None where there is none.
    """

    items: list[AuditRow]
    total: int | None
    before: int | None
    after: int | None


def list_audit_page(
    session: Session,
    chosen: AuditFilter,
    *,
    after: int | None = None,
    before: int | None = None,
    page: int = 1,
    page_size: int = 100,
) -> AuditPage:
    """The rows after or before one in the list; else a page by its number."""
    anchor = session.get(Audit, after or before) if after or before else None
    newer = anchor is not None and before is not None
    rows = _ordered(chosen, anchor, newer=newer).limit(page_size + 1)
    found = session.execute(rows.offset((page - 1) * page_size)).all()
    if newer and len(found) <= page_size:  # there is not a whole page before it
        return list_audit_page(session, chosen, page_size=page_size)
    has_more, found = len(found) > page_size, found[:page_size]
    items = [AuditRow(*row) for row in (reversed(found) if newer else found)]
    is_first = anchor is None and page == 1
    return AuditPage(
        items,
        _count(session, chosen),
        before=items[0].id if items and not is_first and (has_more or not newer) else None,
        after=items[-1].id if items and (has_more or newer) else None,
    )


def _ordered(
    chosen: AuditFilter, anchor: Audit | None, *, newer: bool
) -> Select[int, datetime, str, str, str, str | None]:
    """By time, which the filters' indexes have; a clock that was set back separates it from ids."""
    keys = (Audit.created_at, Audit.id)
    rows = _select(chosen)
    if anchor is not None:
        here, place = tuple_(literal(anchor.created_at), literal(anchor.id)), tuple_(*keys)
        rows = rows.where(place > here if newer else place < here)
    return rows.order_by(*(key if newer else key.desc() for key in keys))


def _count(session: Session, chosen: AuditFilter) -> int | None:
    if chosen == AuditFilter(action=chosen.action):
        counts = count_by_value(session, "audit")
        return counts[chosen.action] if chosen.action else counts.total()
    some = _select(chosen).with_only_columns(Audit.id, maintain_column_froms=True)
    counted = select(func.count()).select_from(some.limit(MOST_COUNTED + 1).subquery())
    total = session.scalar(counted) or 0
    return total if total <= MOST_COUNTED else None


def iter_audit(session: Session, chosen: AuditFilter) -> Iterator[AuditRow]:
    """Oldest first, a page in memory at a time."""
    query = _select(chosen).order_by(Audit.id).limit(PAGE_SIZE)
    after = 0
    while page := session.execute(query.where(Audit.id > after)).all():
        yield from (AuditRow(*row) for row in page)
        after = page[-1].id


def audit_actions(session: Session) -> list[str]:
    return sorted(count_by_value(session, "audit"))


def _select(chosen: AuditFilter) -> Select[int, datetime, str, str, str, str | None]:
    columns = (Audit.id, Audit.created_at, User.name, Audit.action, Audit.target, Audit.digest)
    rows = select(*columns).outerjoin(User)
    if chosen.action:
        rows = rows.where(Audit.action == chosen.action)
    if chosen.person:
        rows = rows.where(User.name == chosen.person)
    if chosen.since:
        rows = rows.where(Audit.created_at >= datetime.combine(chosen.since, time(), UTC))
    if chosen.until:
        next_day = chosen.until + timedelta(days=1)
        rows = rows.where(Audit.created_at < datetime.combine(next_day, time(), UTC))
    return rows
