"""Log in by name and password or by a one-time link, and log out."""

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from models.audit.log import record
from models.people.tokens import use_link
from models.tables.people import Role
from web.auth.credentials import LOGINS, admit, limiter
from web.auth.rules import audit, needs, open_to_all
from web.auth.sessions import log_in, log_out
from web.context import current_settings, write_session
from web.http.security import local_path

bp = Blueprint("login", __name__)


@bp.get("/login")
@limiter.limit("20 per minute")
@open_to_all("it is the login page")
def show() -> ResponseReturnValue:
    token = request.args.get("token", "")
    if not token:
        return _continue() if current_user.is_authenticated else _page(200)
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    if request.method != "GET" or "prefetch" in purpose:
        # A prefetching browser or a link checker must not use up the link.
        return Response(status=503)
    return _continue() if _use(token) else _page(403, refused="link")


@bp.post("/login")
@limiter.limit(LOGINS)
@open_to_all("it is the login page")
def enter() -> ResponseReturnValue:
    user = admit(request.form.get("name", ""), request.form.get("password", ""))
    if user is None:
        return _page(403, refused="password")
    log_in(user)
    return _continue()


@bp.post("/logout")
@needs(Role.VIEWER)
def logout() -> ResponseReturnValue:
    audit("logout")
    log_out()
    answer = redirect(url_for("login.show"), code=303)
    answer.headers["Clear-Site-Data"] = '"cache"'  # cached images
    return answer


def _use(token: str) -> bool:
    with write_session() as writing:
        user = use_link(writing, token, "login")
        user_id = user.id if user else None
        record(writing, user_id=user_id, action="login" if user else "login.refused", target="link")
    if user is None:
        return False
    log_in(user)
    return True


def _continue() -> ResponseReturnValue:
    return redirect(local_path(request.values.get("next", "")))


def _page(status: int, *, refused: str = "") -> ResponseReturnValue:
    return render_template(
        "login.html",
        refused=refused,
        name=request.form.get("name", ""),
        next=local_path(request.values.get("next", "")),
        lockout_minutes=max(1, round(current_settings().lockout_s / 60)),
    ), status
