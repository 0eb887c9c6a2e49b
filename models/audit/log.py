"""Who did what to which thing, when. Rows are only ever added, and each seals all before it.

digest = SHA-256 of the digest before and of the row: who, action, target, time. The id is not
known before the row is there, and need not be covered: the chain says in which order rows stand.

A chain shows what was altered, taken out, put in or moved. It does not show that its end was cut
off, nor that all of it was written anew: for those there are anchors outside the database, see
`models.audit.verify`.
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
# Any number does, as long as nobody else locks by it. "audit" in ASCII.
LOCK = int.from_bytes(b"audit", "big")

_CANONICAL = json.JSONEncoder(separators=(",", ":"))


class Sealed(NamedTuple):
    """What a row's digest covers."""

    user_id: int | None
    action: str
    target: str
    created_at: datetime


def record(session: Session, *, user_id: int | None, action: str, target: str = "") -> None:
    """action: a verb phrase such as `job.created`; target: an id, never a file name.

    The last thing in its transaction: until that ends, nobody else records anything.
    """
    session.flush()
    _be_the_only_writer(session)
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
    """Rows of releases that knew no digests get theirs; once any row has one, nothing is done."""
    _be_the_only_writer(session)
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
    if found == [None]:  # an older release wrote it: all before it are to be sealed first
        chain_older(session)
        found = session.scalars(newest).all()
    return (found[0] if found else None) or ""


def _be_the_only_writer(session: Session) -> None:
    """Until the transaction ends. SQLite has no other; PostgreSQL's wait for each other here.

    A statement of its own: only the next one sees what the writer before has committed.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))
