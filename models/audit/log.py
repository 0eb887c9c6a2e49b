"""The audit log: who did what to which target, when. Rows are only ever added.

Each row's digest is the SHA-256 of the digest before it and of the row: who, action, target, time.
The id is not known before the row is inserted, and the chain itself gives the order of rows.

The chain shows rows that were changed, removed, inserted or moved. It does not show that its end
was cut off or that all of it was rewritten: for those see `models.audit.verify`.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.base import now
from models.query import batches
from models.tables.intake import Audit

PAGE_SIZE = 1000
TARGET_LENGTH = 120
# Key of the advisory lock: "audit" in ASCII.
LOCK = int.from_bytes(b"audit", "big")

_CANONICAL = json.JSONEncoder(separators=(",", ":"))


class Sealed(NamedTuple):
    """What a row's digest covers."""

    user_id: int | None
    action: str
    target: str
    created_at: datetime


def record(session: Session, *, user_id: int | None, action: str, target: str = "") -> None:
    """action: such as `job.created`; target: an id, never a file name.

    Call it last in a transaction: until that ends, all other writers of the audit wait.
    """
    session.flush()
    _lock_audit(session)
    what = Sealed(user_id, action, target[:TARGET_LENGTH], now())
    session.add(Audit(**what._asdict(), digest=digest_of(what, before=_newest_digest(session))))
    session.flush()


def digest_of(what: Sealed, *, before: str) -> str:
    """The same on every database: times are UTC with microseconds."""
    time = what.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [before, what.user_id, what.action, what.target, time]
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()


def list_audit(session: Session, *, limit: int = 100) -> list[Audit]:
    return list(session.scalars(select(Audit).order_by(Audit.id.desc()).limit(limit)))


def iter_sealed(session: Session) -> Iterator[tuple[int, Sealed, str | None]]:
    """Id, what the digest covers, digest; oldest first, a page in memory at a time."""
    columns = (getattr(Audit, name) for name in Sealed._fields)
    query = select(Audit.id, Audit.digest, *columns).order_by(Audit.id).limit(PAGE_SIZE)
    after = 0
    while page := session.execute(query.where(Audit.id > after)).all():
        for row_id, digest, *what in page:
            yield row_id, Sealed(*what), digest
        after = page[-1].id


def chain_older(session: Session) -> None:
    """Add digests to the rows of releases that had none; does nothing once any row has one."""
    _lock_audit(session)
    if session.scalar(select(Audit.id).where(Audit.digest.is_not(None)).limit(1)) is not None:
        return
    before, seals = "", []
    for row_id, what, _ in iter_sealed(session):
        before = digest_of(what, before=before)
        seals.append({"id": row_id, "digest": before})
    for batch in batches(seals):
        session.execute(update(Audit), batch)


def _newest_digest(session: Session) -> str:
    newest = select(Audit.digest).order_by(Audit.id.desc()).limit(1)
    found = session.scalars(newest).all()
    if found == [None]:  # by an older release: all rows up to it need digests first
        chain_older(session)
        found = session.scalars(newest).all()
    return (found[0] if found else None) or ""


def _lock_audit(session: Session) -> None:
    """Until the transaction ends. SQLite has one writer anyway.

    A statement of its own: only the next one sees what the writer before has committed.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))
