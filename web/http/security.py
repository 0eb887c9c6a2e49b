"""Headers and cookies that every answer carries.

Where a login leads: only to pages of this portal, whatever the address asks for.
"""

import re
from datetime import timedelta
from posixpath import normpath
from urllib.parse import unquote

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix

from models.config.settings import Settings

NOTICE = "Research use only. Not a medical device."

# Scripts, styles and pictures come from this server alone; nothing inline, no plug-ins, no frames.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# What no page of ours asks a browser for, so that nothing put into one can.
UNUSED = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation"),
    *("gyroscope", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get"),
    *("screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # No address of ours travels to another site; on TLS the forms' proof wants our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in UNUSED),
    "X-Overread-Notice": NOTICE,
}


class Cookies(SecureCookieSessionInterface):
    """`Secure` wherever the request came over TLS; on loopback there is none."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    # Pages show patients' studies: a shared computer must not keep them.
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def install_security(app: Flask, settings: Settings, *, session_key: str) -> None:
    app.secret_key = session_key
    app.config["SESSION_COOKIE_NAME"] = "overread"
    app.config["SESSION_COOKIE_HTTPONLY"] = True
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=settings.session_hours)
    app.session_interface = Cookies()
    app.after_request(add_headers)
    if count := settings.proxies:
        # Who is asking, for the limits by address; and whether by TLS, for the cookies. The host
        # is nobody's business: no address of ours is made from it.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]


START = "/"
# One slash first. No backslash and nothing invisible: browsers read the one as a slash, and leave
# the other out.
_LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20\x7f-\x9f]*")
# No second login, which might be somebody else's.
WAYS_IN_AND_OUT = ("/login", "/welcome", "/logout")


def local_path(wanted: str) -> str:
    # As browser and server read it: without dots, escapes and needless slashes.
    path = normpath("/" + unquote(wanted.partition("?")[0]).lstrip("/"))
    is_local = _LOCAL.fullmatch(wanted) and not path.startswith(WAYS_IN_AND_OUT)
    return wanted if is_local else START
