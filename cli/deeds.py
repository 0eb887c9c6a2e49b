"""What commands do to the data themselves: whoever can read the data folder is its admin."""

from sqlalchemy.orm import Session

from models.audit import record
from models.users import ADMIN, find_user


def record_deed(session: Session, action: str, *, target: str = "") -> None:
    """As `models.audit.record`."""
    user = find_user(session, ADMIN)
    record(session, user_id=user.id if user else None, action=action, target=target)
