"""What commands do to the data themselves: whoever can read the data folder is its admin."""

from sqlalchemy.orm import Session

from models.audit.log import record
from models.people.users import ADMIN, find_user


def record_deed(session: Session, action: str, *, target: str = "") -> None:
    """As `models.audit.log.record`."""
    user = find_user(session, ADMIN)
    record(session, user_id=user.id if user else None, action=action, target=target)
