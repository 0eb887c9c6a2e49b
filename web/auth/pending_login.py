"""A login whose password or link was right, and whose second factor is still to come.

It is kept in the signed cookie for five minutes, and is no login: every page but one refuses it.
"""

from flask import current_app, redirect, session, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer

from models.audit.log import record
from models.people.users import get_user
from models.tables.people import User
from web.auth.sessions import log_in
from web.context import read_session, write_session
from web.http.security import redirect_to_wanted, wanted_path

KEY = "pending_login"
WITHIN_S = 300


def let_in(user: User, *, by: str = "") -> ResponseReturnValue:
    """Log in, or ask for the second factor first. by: for the audit."""
    if user.totp_nonce is None:
        return complete(user, by=by)
    session[KEY] = _signer().dumps([user.id, user.session_epoch, by])
    wanted = wanted_path()
    return redirect(url_for("login.ask_code", next=wanted if wanted != "/" else None), code=303)


def complete(user: User, *, by: str) -> ResponseReturnValue:
    with write_session() as writing:
        record(writing, user_id=user.id, action="login", target=by)
    log_in(user)
    return redirect_to_wanted(code=303)


def pending() -> tuple[User, str] | None:
    """The user and how they came; None after five minutes or if their logins were ended."""
    try:
        user_id, epoch, by = _signer().loads(session.get(KEY, ""), max_age=WITHIN_S)
    except BadData:
        return None
    with read_session() as reading:
        user = get_user(reading, user_id)
    return (user, by) if user is not None and user.session_epoch == epoch else None


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="pending login")
