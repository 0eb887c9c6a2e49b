"""What was in hand when a database was copied: no process of its copy holds it."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from models.learning_tables import Night
from models.tables import Image, Upload

_OPTIONS = {"synchronize_session": False}


def hand_back_everything(session: Session) -> None:
    """Claims end as if they had never been; uploads that were under way begin again."""
    for table in (Image, Night):
        session.execute(
            update(table)
            .where(table.leased_by.is_not(None))
            .values(leased_by=None, leased_until=None, attempts=table.attempts - 1)
            .execution_options(**_OPTIONS)
        )
    under_way = update(Upload).where(Upload.arrived_at.is_(None)).values(received=0)
    session.execute(under_way.execution_options(**_OPTIONS))
