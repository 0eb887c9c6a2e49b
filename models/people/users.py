"""Users, their roles, and whether they are active."""

import re
import unicodedata
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables.people import Role, User

ADMIN = "admin"  # the first user, used by this machine's own commands and links
RANK = {role: rank for rank, role in enumerate(Role)}
NAME_LENGTH = 80


class UserRefusedError(ValueError):
    """Why a user cannot be created or changed; one sentence for the user."""


def normal_name(name: str) -> str:
    """The form in which names are stored and compared; case does not matter."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def lesser_role(role: Role, other: Role | None) -> Role:
    """other: None for no limit."""
    return min(role, other or role, key=RANK.__getitem__)


def find_user(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(User.name == name))


def get_user(session: Session, user_id: int) -> User | None:
    """None for a deactivated user."""
    return session.scalar(select(User).where(User.id == user_id, User.is_active))


def list_users(session: Session) -> list[User]:
    """Including deactivated ones."""
    return list(session.scalars(select(User).order_by(User.name)))


def user_names(session: Session, user_ids: Iterable[int | None]) -> dict[int, str]:
    """Including deactivated users."""
    wanted = {user_id for user_id in user_ids if user_id is not None}
    rows = session.execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {row.id: row.name for row in rows}


def make_user(session: Session, *, name: str, role: Role) -> User:
    user = User(name=name, role=role)
    session.add(user)
    session.flush()
    return user


def add_user(session: Session, *, name: str, role: Role) -> User:
    """Raises UserRefusedError if the name is invalid or taken."""
    name = normal_name(name)
    if len(name) > NAME_LENGTH or not re.fullmatch(r"\w[\w.@+-]*", name):
        raise UserRefusedError(
            "a name has only letters, digits and . _ @ + -, and begins with a letter or digit"
        )
    if find_user(session, name) is not None:
        raise UserRefusedError("this name is taken; a deactivated user can be activated again")
    return make_user(session, name=name, role=role)


def change_role(session: Session, user: User, role: Role) -> None:
    """Raises UserRefusedError if no admin would be left."""
    if role != Role.ADMIN:
        _check_not_needed(session, user)
    user.role = role
    end_logins(user)


def deactivate(session: Session, user: User) -> None:
    """Raises UserRefusedError if no admin would be left."""
    _check_not_needed(session, user)
    user.is_active = False
    end_logins(user)


def end_logins(user: User) -> None:
    """In all browsers. Incremented in SQL, so that concurrent calls both count."""
    user.session_epoch = User.session_epoch + 1


def _check_not_needed(session: Session, user: User) -> None:
    if user.name == ADMIN:
        raise UserRefusedError(
            f"the user {ADMIN} cannot be changed: this machine's own commands use it"
        )
    admins = select(User.id).where(User.role == Role.ADMIN, User.is_active)
    # All are locked, in one order: two admins cannot deactivate each other at the same moment.
    found = session.scalars(admins.order_by(User.id).with_for_update()).all()
    if list(found) == [user.id]:
        raise UserRefusedError(f"{user.name} is the last admin: add another one first")
