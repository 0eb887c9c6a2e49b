"""Leases: a worker claims rows for a time, and everyone may see whose they are.

A worker claims rows by one conditional UPDATE, computes with no transaction open, and writes only
where its claim still stands. Every claim has an id of its own, so that a worker whose lease lapsed
is not mistaken for the one that took over, even if it is the same process. `attempts` counts claims
that were not given back: rows that keep losing their worker are given up after some of them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, String, and_, or_, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from models.base import now
from models.query import update_rows

NO_LEASE: dict[str, None] = {"leased_by": None, "leased_until": None}


class LeaseColumns:
    attempts: Mapped[int] = mapped_column(default=0)
    leased_by: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None]


def claim_rows(
    session: Session,
    table: type[LeaseColumns],
    *which: ColumnElement[bool],
    lease_s: float,
    returning: Sequence[InstrumentedAttribute[Any]],
    **values: Any,
) -> tuple[str, Sequence[Row[*tuple[Any, ...]]]]:
    """Returns the claim's id, and its rows.

    values: further columns to set; the attempt counts unless they say otherwise.
    """
    holder, until = uuid4().hex, now() + timedelta(seconds=lease_s)
    columns = {"attempts": table.attempts + 1, "leased_by": holder, "leased_until": until}
    claimed = (
        update(table)
        .where(*which)
        .values(columns | values)
        .returning(*returning)
        .execution_options(synchronize_session=False)
    )
    return holder, session.execute(claimed).all()


def release_rows(
    session: Session, table: type[LeaseColumns], *which: ColumnElement[bool], count_attempt: bool
) -> int:
    """count_attempt=False: as if the rows had never been claimed. Returns how many there were."""
    attempts = table.attempts if count_attempt else table.attempts - 1
    return update_rows(session, table, *which, attempts=attempts, **NO_LEASE)


def is_free(table: type[LeaseColumns], *, lease_s: float) -> ColumnElement[bool]:
    """lease_s: how long claims of this table last."""
    return or_(table.leased_until.is_(None), has_lapsed(table, lease_s=lease_s))


def has_lapsed(table: type[LeaseColumns], *, lease_s: float) -> ColumnElement[bool]:
    """Also one that ends later than any claim of now: the clock was set back since. Up to twice the
    length is believed, since the clocks of several machines differ.
    """
    moment = now()
    latest = moment + timedelta(seconds=2 * lease_s)
    return or_(table.leased_until < moment, table.leased_until > latest)


def is_exhausted(
    table: type[LeaseColumns], *, attempts: int, lease_s: float
) -> ColumnElement[bool]:
    """So many claims were not given back, and the last one has lapsed."""
    return and_(is_free(table, lease_s=lease_s), table.attempts >= attempts)
