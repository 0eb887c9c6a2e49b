"""Security headers and cookies of every response, and safe redirects after login."""

import re
from datetime import timedelta
from posixpath import normpath
from urllib.parse import unquote

from flask import Flask, Response, redirect, request
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

from models.config.settings import Settings

NOTICE = "Research use only. Not a medical device."

# Scripts, styles and images from this server only; nothing inline, no plug-ins, no frames.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Browser features that no page uses.
UNUSED = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation"),
    *("gyroscope", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get"),
    *("screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Other sites do not see our addresses; on TLS the CSRF check needs the referrer.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in UNUSED),
    "X-Overread-Notice": NOTICE,
}


class Cookies(SecureCookieSessionInterface):
    """`Secure` if the request came over TLS, which loopback does not use; below our prefix only."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def get_cookie_path(self, app: Flask) -> str:
        return cookie_path()


def cookie_path() -> str:
    """Other applications on the proxy's host do not get our cookies."""
    return request.script_root or "/"


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    # Pages show patients' studies: shared computers must not cache them.
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
        # The client's address is for rate limits, the scheme for cookies, the prefix for links.
        # The host is ignored: no address is made from it. Of several proxies one states the prefix.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_prefix=1
        )


# One leading slash, no backslash and no invisible characters: browsers read backslashes as slashes
# and drop the others.
_LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20\x7f-\x9f]*")
# Not to another login, whose link might be somebody else's.
WAYS_IN_AND_OUT = ("/login", "/welcome", "/logout")


def redirect_to_wanted(*, code: int = 302) -> ResponseReturnValue:
    return redirect(request.script_root + wanted_path(), code=code)


def wanted_path() -> str:
    """Where to go after login: a path of this portal, without the prefix of its proxy."""
    return local_path(request.values.get("next", ""))


def local_path(wanted: str) -> str:
    # Normalised as browsers and the server do: dots, escapes, double slashes.
    path = normpath("/" + unquote(wanted.partition("?")[0]).lstrip("/"))
    is_local = _LOCAL.fullmatch(wanted) and not path.startswith(WAYS_IN_AND_OUT)
    return wanted if is_local else "/"
