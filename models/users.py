"""Users: who they are, and who may still come in."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import Role, User

ADMIN = "admin"
RANK = {role: rank for rank, role in enumerate(Role)}  # each may do what the ones below may


def find_user(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(User.name == name))


def get_user(session: Session, user_id: int) -> User | None:
    """None for a user who may no longer come in."""
    return session.scalar(select(User).where(User.id == user_id, User.is_active))


def user_names(session: Session, user_ids: Iterable[int | None]) -> dict[int, str]:
    """Also of those who may no longer come in."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    rows = session.execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {row.id: row.name for row in rows}


def make_user(session: Session, *, name: str, role: Role) -> User:
    user = User(name=name, role=role)
    session.add(user)
    session.flush()
    return user
