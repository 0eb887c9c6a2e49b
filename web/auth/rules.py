"""Access rules: each view has one; a view without a rule refuses everybody.

People send a session cookie, programs `Authorization: Bearer`. Browsers send cookies by
themselves, so only requests with cookies need a CSRF token.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden

from models.audit.log import record
from models.tables.people import Role
from web.auth import reauthentication
from web.auth.sessions import (
    Person,
    install_logins,
    keep_alive,
    must_set_up_second_factor,
)
from web.context import write_session

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

RULE = "lowest_role"  # of a view; None: it needs no login
RECENT = "recent_password"
BEFORE_SET_UP = "before_set_up"  # of the second factor
FOR_PROGRAMS = ("/health", "/healthz", "/readyz", "/metrics")

csrf = CSRFProtect()


class SecondFactorRequiredError(Forbidden):
    """For scripts that call the API with a session."""

    description = "your role requires a second factor: set it up on the account page"
    problem_code = "second_factor_required"


def needs(role: Role | None) -> Callable[[View], View]:
    """The view is for this role and higher ones; None: it needs no login."""

    def mark(view: View) -> View:
        if RULE in view.__dict__:
            raise TypeError(f"{view.__name__} has a rule already")
        view.__dict__[RULE] = role
        return view

    return mark


def marker(name: str, value: object) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.__dict__[name] = value
        return view

    return mark


# In browsers, the password must have been given within ten minutes. Tokens need none.
needs_recent_password = marker(RECENT, True)
# Also by those who must set one up first.
usable_without_second_factor = marker(BEFORE_SET_UP, True)


def refuse_tokens() -> None:
    """An API token must not be turned into a login with full rights."""
    if g.get("came_with_token"):
        abort(403, "not available with an API token: log in")


def open_to_all(why: str) -> Callable[[View], View]:
    """The view needs no login. `why` is for readers of the code."""
    return needs(None)


def person() -> Person:
    """The authenticated user, in views that need a login."""
    return cast(Person, g.person)


def record_action(session: Session, action: str, target: str = "") -> None:
    """Record an action of the authenticated user."""
    record(session, user_id=person().id, action=action, target=target)


def audit(action: str, target: str = "") -> None:
    """Record an action in a transaction of its own."""
    with write_session() as session:
        record_action(session, action, target)


def is_api_request() -> bool:
    return request.path.startswith("/api/") or request.path in FOR_PROGRAMS


def guard() -> ResponseReturnValue | None:
    """Before every request: check login, role and CSRF token, before the body is read."""
    if request.endpoint is None:  # Flask will answer 404 or 405
        return None
    view = current_app.view_functions[request.endpoint].__dict__
    if RULE not in view:
        log.error("refused: no access rule for %s", request.endpoint)
        abort(500)
    role = view[RULE]
    if role is not None:
        if not current_user.is_authenticated:
            return _ask_to_log_in()
        if not person().may(role):
            abort(403, f"this needs the role {role.value}; yours is {person().role.value}")
    if g.get("came_with_token"):
        return None
    csrf.protect()
    return _check_session(view) if role is not None else None


def _check_session(view: dict[str, Any]) -> ResponseReturnValue | None:
    # Scripts poll the API, whether or not somebody looks at their page.
    if not (is_api_request() and request.method in ("GET", "HEAD")):
        keep_alive(person())
    if must_set_up_second_factor(person()) and not view.get(BEFORE_SET_UP):
        if is_api_request():
            raise SecondFactorRequiredError
        return redirect(url_for("second_factor.show"), code=303)
    if view.get(RECENT) and not reauthentication.is_confirmed(person()):
        if is_api_request():
            raise reauthentication.RequiredError
        return reauthentication.ask()
    return None


def install_auth(app: Flask) -> None:
    # Checked by guard(), which skips requests with a token.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # lives as long as the session
    csrf.init_app(app)
    install_logins(app)
    app.before_request(guard)
    # The view of a library.
    open_to_all("style, scripts and images of the login page")(app.view_functions["static"])


def _ask_to_log_in() -> ResponseReturnValue:
    if g.get("tried_too_often"):
        abort(429, "too many wrong tokens from this address: wait a minute")
    if is_api_request():
        abort(401, "log in, or send an API token as `Authorization: Bearer <token>`")
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("login.show", next=wanted if wanted != "/" else None))
