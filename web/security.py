"""Headers and cookies that every answer carries."""

from datetime import timedelta

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface

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
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # No address of ours travels to another site; on TLS the forms' proof wants our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
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


def install_security(app: Flask, *, session_key: str, session_hours: int) -> None:
    app.secret_key = session_key
    app.config["SESSION_COOKIE_NAME"] = "overread"
    app.config["SESSION_COOKIE_HTTPONLY"] = True
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=session_hours)
    app.session_interface = Cookies()
    app.after_request(add_headers)
