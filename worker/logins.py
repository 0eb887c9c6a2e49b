"""Rows of logins that count no longer."""

from models.people.logins import delete_expired_logins
from worker.doors import Doors


def forget_expired_logins(doors: Doors) -> None:
    with doors.sessions.begin() as session:
        delete_expired_logins(session)
