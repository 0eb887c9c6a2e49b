"""One-time links for setting a password: for new users, or if it was forgotten."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from models.audit.log import record
from models.people.passwords import hash_password, objection
from models.people.tokens import use_link, user_of_link
from models.tables.people import User
from web.auth.credentials import LOGINS, limiter, set_password
from web.auth.login import token_of_link
from web.auth.pending_login import let_in
from web.auth.rules import open_to_all
from web.context import read_session, write_session

bp = Blueprint("invitations", __name__)


def twice(password: str, *, name: str) -> str | None:
    """Return the objection to a password that a form asks for twice, if any."""
    against = objection(password, name=name)
    if against is None and password != request.form.get("again", ""):
        return "the passwords do not match"
    return against


@bp.get("/welcome")
@limiter.limit("20 per minute")
@open_to_all("new users have no login yet; the link says who they are")
def show() -> ResponseReturnValue:
    if token := request.args.get("token"):  # a link of an earlier release
        return redirect(url_for("invitations.show", _anchor=token), code=303)
    return render_template("link.html", action=url_for("invitations.accept"), next="/")


@bp.post("/welcome")
@limiter.limit(LOGINS)
@open_to_all("new users have no login yet; the link says who they are")
def accept() -> ResponseReturnValue:
    """Show the form for the link's token; then set the password that it sends."""
    token, password = token_of_link(), request.form.get("password")
    user = _invited(token)
    if user is None:
        return _refused()
    if password is None:
        return _page(200, user)
    against = twice(password, name=user.name)
    if against is not None:
        return _page(422, user, against=against)
    entered = _use(token, hash_password(password))
    return let_in(entered, by="invitation") if entered else _refused()


def _invited(token: str) -> User | None:
    with read_session() as session:
        return user_of_link(session, token, "invitation")


def _use(token: str, hashed: str) -> User | None:
    with write_session() as session:
        user = use_link(session, token, "invitation")
        if user is not None:
            set_password(session, user, hashed)
    return user


def _page(status: int, user: User, *, against: str | None = None) -> ResponseReturnValue:
    page = render_template("welcome.html", user=user, token=token_of_link(), against=against)
    return page, status


def _refused() -> ResponseReturnValue:
    with write_session() as session:
        record(session, user_id=None, action="login.refused", target="invitation")
    return render_template("login.html", refused="invitation", name="", next="/"), 410
