"""Log in by name and password or by a one-time link, then by a code; log out.

A link carries its token in the fragment, which browsers do not send: no log of a proxy holds it.
"""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from models.audit.log import record
from models.people.tokens import use_link
from models.tables.people import Role, User
from web.auth.credentials import LOGINS, admit, admit_code, limiter
from web.auth.pending_login import complete, let_in, pending
from web.auth.rules import audit, needs, open_to_all, usable_without_second_factor
from web.auth.sessions import log_out
from web.context import current_settings, write_session
from web.http.security import redirect_to_wanted, wanted_path

bp = Blueprint("login", __name__)


@bp.get("/login")
@limiter.limit("20 per minute")
@open_to_all("it is the login page")
def show() -> ResponseReturnValue:
    if token := request.args.get("token"):  # a link of an earlier release
        wanted = wanted_path()
        link = url_for("login.show_link", next=wanted if wanted != "/" else None, _anchor=token)
        return redirect(link, code=303)
    return redirect_to_wanted() if current_user.is_authenticated else _page(200)


@bp.post("/login")
@limiter.limit(LOGINS)
@open_to_all("it is the login page")
def enter() -> ResponseReturnValue:
    user = admit(request.form.get("name", ""), request.form.get("password", ""))
    return let_in(user) if user else _page(403, refused="password")


@bp.get("/login/link")
@limiter.limit("20 per minute")
@open_to_all("it is a login page")
def show_link() -> str:
    return render_template("link.html", action=url_for("login.enter_by_link"), next=wanted_path())


@bp.post("/login/link")
@limiter.limit(LOGINS)
@open_to_all("it is a login page; the link says who they are")
def enter_by_link() -> ResponseReturnValue:
    user = _use(token_of_link())
    return let_in(user, by="link") if user else _page(403, refused="link")


@bp.get("/login/code")
@limiter.limit("20 per minute")
@open_to_all("it is a login page")
def ask_code() -> ResponseReturnValue:
    return _code_page(200) if pending() else _page(410, refused="late")


@bp.post("/login/code")
@limiter.limit(LOGINS)
@open_to_all("it is a login page; the password was right")
def enter_code() -> ResponseReturnValue:
    found = pending()
    if found is None:
        return _page(410, refused="late")
    user, by = found
    if not admit_code(user, request.form.get("code", "")):
        return _code_page(403)
    return complete(user, by=by)


@bp.post("/logout")
@needs(Role.VIEWER)
@usable_without_second_factor
def logout() -> ResponseReturnValue:
    audit("logout")
    log_out()
    answer = redirect(url_for("login.show"), code=303)
    answer.headers["Clear-Site-Data"] = '"cache"'  # cached images
    return answer


def token_of_link() -> str:
    """The form's token. Without scripts, people paste the whole link."""
    return request.form.get("token", "").strip().rpartition("#")[2]


def _use(token: str) -> User | None:
    with write_session() as writing:
        user = use_link(writing, token, "login")
        if user is None:
            record(writing, user_id=None, action="login.refused", target="link")
    return user


def _page(status: int, *, refused: str = "") -> ResponseReturnValue:
    return render_template(
        "login.html",
        refused=refused,
        name=request.form.get("name", ""),
        next=wanted_path(),
        lockout_minutes=_lockout_minutes(),
    ), status


def _code_page(status: int) -> ResponseReturnValue:
    page = render_template(
        "code.html",
        next=wanted_path(),
        is_wrong=status != 200,
        lockout_minutes=_lockout_minutes(),
    )
    return page, status


def _lockout_minutes() -> int:
    return max(1, round(current_settings().lockout_s / 60))
