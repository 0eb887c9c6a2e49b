"""Device cookies (OWASP): guesses from elsewhere do not lock users out of their own browsers.

Wrong passwords from a browser in which the name has logged in before are counted separately from
those of all other browsers. The cookie grants no access.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from flask import Response, after_this_request, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from models.people.logins import name_hash
from models.people.users import normal_name
from web.http.security import cookie_path

COOKIE = "overread-known"
LASTS = timedelta(days=180)
MOST = 20  # users of one browser; the one who has not logged in for longest is forgotten


@dataclass(frozen=True)
class Browser:
    """marks: keyed hashes of the names that have logged in here, the latest first."""

    id: str
    marks: tuple[str, ...]


def where_counted(name: str, *what: str) -> str:
    """The key under which wrong passwords count: of the name, or of the name in this browser.

    what: else is counted, such as codes.
    """
    browser = _this_browser()
    is_known = _mark(name) in browser.marks
    return _keyed(name, f"at {browser.id}", *what) if is_known else _keyed(name, *what)


def counted_elsewhere(name: str) -> str:
    """The key of all browsers in which the name has not logged in."""
    return _keyed(name)


def remember_browser(name: str) -> None:
    """Set the cookie after a successful login."""
    browser = _this_browser()
    others = [mark for mark in browser.marks if mark != _mark(name)]
    signed = _signer().dumps([browser.id, [_mark(name), *others][:MOST]])

    @after_this_request
    def send(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            signed,
            max_age=LASTS,
            path=cookie_path(),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return response


def _this_browser() -> Browser:
    """Return the browser that a valid cookie names, or a new one."""
    try:
        signed = request.cookies.get(COOKIE, "")
        browser_id, marks = _signer().loads(signed, max_age=int(LASTS.total_seconds()))
    except BadData:
        return Browser(secrets.token_urlsafe(16), ())
    return Browser(browser_id, tuple(marks))


def _mark(name: str) -> str:
    """A keyed hash, so that the cookie does not tell the name."""
    return _keyed(name, "was here")[:16]


def _keyed(name: str, *more: str) -> str:
    text = " ".join((normal_name(name), *more))
    return name_hash(text, key=str(current_app.secret_key))


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known browser")
