"""What was in hand when a database was copied, and does not hold for its copy."""

from sqlalchemy import ColumnElement, delete, update
from sqlalchemy.orm import Session

from models.base import now
from models.learning_tables import Night
from models.people_tables import Login, Token
from models.tables import WAITING_STATES, Image, Upload

_OPTIONS = {"synchronize_session": False}


def hand_back_everything(session: Session) -> None:
    """Claims end as if they had never been; uploads that were under way begin again.

    A re-reading's claims only lapse: they say which images it has still to read.
    """
    held: dict[type[Image] | type[Night], ColumnElement[bool]] = {
        Image: Image.state.in_(WAITING_STATES),
        Night: Night.is_open.is_(True),
    }
    for table, may_be_held in held.items():
        session.execute(
            update(table)
            .where(table.leased_by.is_not(None), may_be_held)
            .values(leased_by=None, leased_until=None, attempts=table.attempts - 1)
            .execution_options(**_OPTIONS)
        )
    under_way = update(Upload).where(Upload.arrived_at.is_(None)).values(received=0)
    session.execute(under_way.execution_options(**_OPTIONS))


def end_logins(session: Session) -> None:
    """Browsers are to log in anew, and links that were not used yet open nothing.

    Since the copy was made somebody may have logged out for good, or used the link: neither is
    known here. API tokens stay, for programs could not help themselves.
    """
    session.execute(delete(Login).execution_options(**_OPTIONS))
    links = (Token.kind != "api", Token.used_at.is_(None), Token.revoked_at.is_(None))
    revoked = update(Token).where(*links).values(revoked_at=now())
    session.execute(revoked.execution_options(**_OPTIONS))
