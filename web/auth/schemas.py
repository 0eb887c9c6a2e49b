"""Fields of users and tokens."""

from datetime import datetime

from pydantic import Field, StrictBool, StrictInt

from models.tables.people import Role
from web.http.schemas import In, Out, Text


class NewUser(In):
    name: Text = Field(min_length=1, max_length=80)
    role: Role


class UserChange(In):
    """Omitted fields stay unchanged."""

    role: Role | None = None
    is_active: StrictBool | None = None


class UserOut(Out):
    """has_password: False if the user has only logged in by links."""

    id: int
    name: str
    role: Role
    is_active: bool
    has_password: bool
    has_second_factor: bool
    created_at: datetime


class UsersOut(Out):
    users: list[UserOut]


class InvitationOut(Out):
    """link: a path of the portal; works once, until expires_at."""

    user: UserOut
    link: str
    expires_at: datetime


class NewToken(In):
    """role: at most the caller's."""

    name: Text = Field(min_length=1, max_length=80)
    role: Role
    days: StrictInt = Field(ge=1, le=365)


class TokenOut(Out):
    id: int
    name: str | None
    role: Role
    created_at: datetime
    expires_at: datetime | None


class TokensOut(Out):
    tokens: list[TokenOut]


class IssuedOut(TokenOut):
    """token: shown only once."""

    token: str
