"""Who did what to which thing, when. Rows are only ever added."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import Audit


def record(session: Session, *, user_id: int | None, action: str, target: str = "") -> None:
    """action: a verb phrase such as `job.created`; target: an id, never a file name."""
    session.add(Audit(user_id=user_id, action=action, target=target[:120]))


def list_audit(session: Session, *, limit: int = 100) -> list[Audit]:
    return list(session.scalars(select(Audit).order_by(Audit.id.desc()).limit(limit)))
