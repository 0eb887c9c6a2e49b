"""Routes of users, for admins."""

from datetime import timedelta

from apiflask import APIBlueprint
from flask import Response, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from models.base import now
from models.people.second_factors import turn_off
from models.people.tokens import TokenKind, invited_users, issue_token, revoke_tokens
from models.people.users import UserRefusedError, add_user, change_role, deactivate, list_users
from models.tables.people import Role, User
from web.auth.rules import needs, needs_recent_password, record_action
from web.auth.schemas import InvitationOut, NewUser, UserChange, UserOut, UsersOut
from web.context import read_session, write_session
from web.http.errors import answer
from web.http.params import or_404, read_form

bp = APIBlueprint("users", __name__, tag="Users")

INVITATION_LIFETIME = timedelta(days=3)
ALL_KINDS: tuple[TokenKind, ...] = ("api", "login", "invitation")


@bp.get("/users")
@needs(Role.ADMIN)
def index_page() -> str:
    return _page()


@bp.post("/users")
@needs(Role.ADMIN)
@needs_recent_password
def add_page() -> ResponseReturnValue:
    new = read_form(NewUser)
    try:
        return _page(_add(new))
    except UserRefusedError as error:
        return _page(against=str(error), **new.model_dump()), 409


@bp.post("/users/<int:user_id>")
@needs(Role.ADMIN)
@needs_recent_password
def change_page(user_id: int) -> ResponseReturnValue:
    _change(user_id, read_form(UserChange))
    return redirect(url_for("users.index_page"), code=303)


@bp.post("/users/<int:user_id>/link")
@needs(Role.ADMIN)
@needs_recent_password
def link_page(user_id: int) -> str:
    return _page(_invite(user_id))


@bp.post("/users/<int:user_id>/second-factor/remove")
@needs(Role.ADMIN)
@needs_recent_password
def remove_second_factor_page(user_id: int) -> ResponseReturnValue:
    _remove_second_factor(user_id)
    return redirect(url_for("users.index_page"), code=303)


@bp.get("/api/v1/users")
@bp.output(UsersOut)
@needs(Role.ADMIN)
def index() -> UsersOut:
    """List all users, including deactivated ones."""
    with read_session() as session:
        return UsersOut(users=[_out(user) for user in list_users(session)])


@bp.post("/api/v1/users")
@bp.input(NewUser)
@bp.output(InvitationOut, status_code=201)
@bp.doc(responses=[409])
@needs(Role.ADMIN)
@needs_recent_password
def add(json_data: NewUser) -> InvitationOut:
    """Create a user and a one-time link for setting a password."""
    return _add(json_data)


@bp.patch("/api/v1/users/<int:user_id>")
@bp.input(UserChange)
@bp.output(UserOut)
@bp.doc(responses=[404, 409])
@needs(Role.ADMIN)
@needs_recent_password
def change(user_id: int, json_data: UserChange) -> UserOut:
    """Change a user's role, or activate or deactivate them; ends all their sessions."""
    return _change(user_id, json_data)


@bp.post("/api/v1/users/<int:user_id>/link")
@bp.output(InvitationOut, status_code=201)
@bp.doc(responses=[404, 409])
@needs(Role.ADMIN)
@needs_recent_password
def link(user_id: int) -> InvitationOut:
    """Create a new one-time link for setting a password; earlier ones are revoked."""
    return _invite(user_id)


@bp.post("/api/v1/users/<int:user_id>/second-factor/remove")
@bp.output(UserOut)
@bp.doc(responses=[404])
@needs(Role.ADMIN)
@needs_recent_password
def remove_second_factor(user_id: int) -> UserOut:
    """Remove a user's second factor, e.g. if their phone is lost; the next login asks for none."""
    return _remove_second_factor(user_id)


@bp.errorhandler(UserRefusedError)
def _refused(error: UserRefusedError) -> Response:
    return answer(409, str(error))


def _add(new: NewUser) -> InvitationOut:
    with write_session() as session:
        user = add_user(session, name=new.name, role=new.role)
        invitation = _invitation(session, user)
        record_action(session, "user.added", str(user.id))
    return invitation


def _change(user_id: int, change: UserChange) -> UserOut:
    role, is_active = change.role, change.is_active
    with write_session() as session:
        user = or_404(session.get(User, user_id), "user")
        if role is not None and role != user.role:
            change_role(session, user, role)
            record_action(session, "user.role-changed", str(user.id))
        if is_active is not None and is_active != user.is_active:
            if is_active:
                user.is_active = True
            else:
                deactivate(session, user)
                # A later activation must not revive tokens issued before.
                revoke_tokens(session, user_id=user.id, kinds=ALL_KINDS)
            action = "user.activated" if is_active else "user.deactivated"
            record_action(session, action, str(user.id))
        return _out(user)


def _invite(user_id: int) -> InvitationOut:
    with write_session() as session:
        user = or_404(session.get(User, user_id), "user")
        if not user.is_active:
            abort(409, f"{user.name} is deactivated: activate the user first")
        invitation = _invitation(session, user)
        record_action(session, "user.invited", str(user.id))
    return invitation


def _remove_second_factor(user_id: int) -> UserOut:
    with write_session() as session:
        user = or_404(session.get(User, user_id), "user")
        if user.totp_nonce is not None:
            turn_off(session, user)
            record_action(session, "second-factor.removed", str(user.id))
        return _out(user)


def _invitation(session: Session, user: User) -> InvitationOut:
    """With a new link; earlier ones are revoked."""
    revoke_tokens(session, user_id=user.id, kinds=("invitation",))
    token = issue_token(session, user=user, kind="invitation", lifetime=INVITATION_LIFETIME)
    link = url_for("invitations.show", _anchor=token)
    return InvitationOut(user=_out(user), link=link, expires_at=now() + INVITATION_LIFETIME)


def _out(user: User) -> UserOut:
    return UserOut.of(
        user,
        has_password=user.password_hash is not None,
        has_second_factor=user.totp_nonce is not None,
    )


def _page(invitation: InvitationOut | None = None, **refused: str) -> str:
    """refused: the reason (`against`) and the values of the form."""
    with read_session() as session:
        users, invited = list_users(session), invited_users(session)
    return render_template(
        "users.html",
        users=users,
        invited=invited,
        roles=list(Role),
        invitation=invitation,
        **refused,
    )
