"""Login by a link that works once, as notebook servers do it."""

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import current_user, logout_user

from models.audit import record
from models.tables import Role
from models.tokens import user_of_token
from web.auth import audit, log_in, needs, open_to_all
from web.services import services

bp = Blueprint("login", __name__)
# In memory, so per process: it slows down guessing, which 256 random bits make hopeless anyway.
limiter = Limiter(get_remote_address, storage_uri="memory://")


@bp.get("/login")
@limiter.limit("20 per minute")
@open_to_all("it is the way in")
def show() -> ResponseReturnValue:
    token = request.args.get("token", "")
    if not token:
        return _logged_in() if current_user.is_authenticated else _page(200, refused=False)
    if _is_only_looking():
        # A browser that fetches ahead, or a link checker, must not use the link up.
        return Response(status=503)
    return _logged_in() if _use(token) else _page(403, refused=True)


@bp.post("/logout")
@needs(Role.VIEWER)
def logout() -> ResponseReturnValue:
    audit("logout")
    logout_user()
    answer = redirect(url_for("login.show"))
    answer.headers["Clear-Site-Data"] = '"cache"'  # the pictures that the browser kept
    return answer


def install_login(app: Flask) -> None:
    limiter.init_app(app)


def _use(token: str) -> bool:
    with services().sessions.begin() as session:
        user = user_of_token(session, token, "login")
        record(session, user_id=user.id if user else None, action="login" if user else "login.bad")
    if user is None:
        return False
    log_in(user)
    return True


def _is_only_looking() -> bool:
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return request.method != "GET" or "prefetch" in purpose


def _logged_in() -> ResponseReturnValue:
    return redirect(url_for("jobs.index"))


def _page(status: int, *, refused: bool) -> ResponseReturnValue:
    return render_template("login.html", refused=refused), status
