"""Routes of the user's own account: password, sessions, API tokens."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from models.people.logins import list_logins
from models.people.passwords import hash_password
from models.people.second_factors import count_recovery_codes
from models.people.tokens import list_api_tokens, revoke_tokens
from models.people.users import RANK, end_logins
from models.tables.people import Role, User
from web.auth import reauthentication
from web.auth.credentials import LOGINS, confirm, limiter, set_password
from web.auth.invitations import twice
from web.auth.rules import needs, needs_recent_password, person, record_action, refuse_tokens
from web.auth.schemas import NewToken
from web.auth.sessions import idle_time, is_second_factor_required, log_in
from web.auth.tokens import issue, revoke, token_out
from web.context import read_session, write_session
from web.http.limits import NEW_TOKENS, at_most
from web.http.params import read_form

bp = Blueprint("account", __name__)

EXPIRIES_DAYS = (7, 30, 90, 365)


@bp.get("/account")
@needs(Role.VIEWER)
def show() -> str:
    return _page(changed="changed" in request.args)


@bp.post("/account/password")
@limiter.limit(LOGINS)
@needs(Role.VIEWER)
def change_password() -> ResponseReturnValue:
    refuse_tokens()
    password = request.form.get("password", "")
    against = twice(password, name=person().name)
    against = against or _objection_to_person()
    if against is not None:
        return _page(against=against), 422
    hashed = hash_password(password)  # slow: no transaction is open here
    with write_session() as session:
        user = session.get_one(User, person().id)
        set_password(session, user, hashed)
        if "revoke_tokens" in request.form:
            revoke_tokens(session, user_id=user.id, kinds=("api",))
            record_action(session, "token.revoked", "all")
    log_in(user)  # setting a password has ended this session, too
    return redirect(url_for("account.show", changed=""), code=303)


@bp.post("/account/leave")
@needs(Role.VIEWER)
def leave_everywhere() -> ResponseReturnValue:
    refuse_tokens()
    with write_session() as session:
        end_logins(session.get_one(User, person().id))
        record_action(session, "logout.everywhere")
    return redirect(url_for("login.show"), code=303)


@bp.post("/account/tokens")
@at_most(NEW_TOKENS)
@needs(Role.VIEWER)
@needs_recent_password
def issue_token() -> str:
    refuse_tokens()
    return _page(issued=issue(read_form(NewToken)))


@bp.post("/account/tokens/<int:token_id>/revoke")
@needs(Role.VIEWER)
def revoke_token(token_id: int) -> ResponseReturnValue:
    refuse_tokens()
    revoke(token_id)
    return redirect(url_for("account.show"), code=303)


def _objection_to_person() -> str | None:
    """Ask for the current password; a user who has none must have just logged in by a link."""
    has_password = person().has_password
    if has_password and not confirm(person().name, request.form.get("current", "")):
        return "wrong password, or too many attempts: wait a while"
    if not has_password and not reauthentication.is_confirmed(person()):
        return "the login is older than ten minutes: log in again with a new one-time link"
    return None


def _page(**shown: object) -> str:
    """shown: the objection to a new password (`against`), `changed`, the token `issued`."""
    with read_session() as session:
        user = session.get_one(User, person().id)
        tokens = list_api_tokens(session, user_id=user.id)
        recovery_codes = count_recovery_codes(session, user.id)
        elsewhere = len(list_logins(session, user_id=user.id, idle=idle_time())) - 1
    return render_template(
        "account.html",
        user=user,
        elsewhere=elsewhere,
        recovery_codes=recovery_codes,
        is_factor_required=is_second_factor_required(user.role),
        tokens=[token_out(token, user.role) for token in tokens],
        roles=[role for role in Role if RANK[role] <= RANK[person().role]],
        expiries=EXPIRIES_DAYS,
        **shown,
    )
