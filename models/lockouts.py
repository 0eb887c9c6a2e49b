"""Wrong passwords are counted by name, whether or not anyone has that name."""

import hashlib
import hmac
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from models.base import now
from models.inserts import insert_new
from models.people_tables import Lockout
from models.users import normal_name

KEPT = timedelta(days=1)


def name_hash(name: str, *, key: str) -> str:
    """Keyed: what was typed for a name may be a password, so the table must not give it away."""
    plain = f"lockout {normal_name(name)}"
    return hmac.new(key.encode(), plain.encode(), hashlib.sha256).hexdigest()


def begin_attempt(session: Session, hashed: str, *, failures: int, lockout: timedelta) -> bool:
    """Counts as wrong until `forgive_attempts`, so that guessing in parallel gains nothing.

    failures: so many in a row lock the name for `lockout`. False while it is locked.
    """
    moment = now()
    session.execute(delete(Lockout).where(Lockout.failed_at < moment - max(KEPT, lockout)))
    new = {"name_hash": hashed, "failures": 0, "failed_at": moment, "locked_until": None}
    insert_new(session, Lockout, [new])
    row = session.get_one(Lockout, hashed, with_for_update=True, populate_existing=True)
    if row.locked_until is not None and row.locked_until > moment:
        return False
    is_over = row.locked_until is not None or row.failed_at < moment - lockout
    row.failures = 1 if is_over else row.failures + 1
    row.failed_at = moment
    row.locked_until = moment + lockout if row.failures >= failures else None
    return True


def forgive_attempts(session: Session, hashed: str) -> None:
    session.execute(delete(Lockout).where(Lockout.name_hash == hashed))
