"""Errors: a page for people, RFC 9457 problem details for programs."""

import logging
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, json, render_template, request
from flask_limiter import RateLimitExceeded
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from models.config.secrets import SecretsError
from models.files.presence import StoreAwayError
from models.session import AWAY, lacks_rights, why_away
from models.slots import RETRY_AFTER_S as BUSY_FOR_S
from models.slots import BusyError
from pipeline.text import bytes_words
from web.auth.rules import is_api_request
from web.http.disk import DiskFullError, is_full

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
FORM = "multipart/form-data"
WAITING = (429, 503, 507)  # these errors say when to try again
RETRY_AFTER_S = 5  # most likely the database is restarting
TITLES = {
    400: "Bad request",
    401: "Please log in",
    403: "Your role does not allow this",
    404: "Page not found",
    405: "Method not allowed",
    409: "Conflict: the item has changed since you loaded it",
    413: "Request too large",
    415: "Content type not supported",
    422: "Invalid input",
    429: "Too many attempts",
    500: "Internal error",
    503: "Service temporarily unavailable",
    507: "Disk full",
}


def install_errors(app: APIFlask) -> None:
    app.register_error_handler(
        HTTPError, lambda e: answer(e.status_code, _first_complaint(e.detail) or e.message)
    )
    expired = "the form has expired or is invalid: reload the page"
    app.register_error_handler(CSRFError, lambda _: answer(400, expired))
    app.register_error_handler(RateLimitExceeded, _rate_limited)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    not_stored = "the text contains a character that cannot be stored"  # zero bytes in PostgreSQL
    app.register_error_handler(DataError, lambda _: answer(422, not_stored))
    app.register_error_handler(BusyError, _busy)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def answer(
    status: int, own_words: str | None, *, code: str | None = None, **shown: object
) -> Response:
    """code: for programs, where the status alone does not say what to do."""
    general = TITLES.get(status, "Request failed")
    if is_api_request():
        named = {"code": code} if code else {}
        body = json.dumps({"title": own_words or general, "status": status} | named)
        response = Response(body, status=status, content_type=PROBLEM)
    else:
        page = render_template("error.html", status=status, title=general, words=own_words, **shown)
        response = Response(page, status=status)
    if status in WAITING:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    own_words = error.description if error.description != type(error).description else None
    response = answer(status, own_words, code=getattr(error, "problem_code", None))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _too_large(_: RequestEntityTooLarge) -> Response:
    parts = f" and {request.max_form_parts} parts" if request.mimetype == FORM else ""
    return answer(413, f"at most {bytes_words(request.max_content_length or 0)}{parts} are allowed")


def _rate_limited(error: RateLimitExceeded) -> Response:
    seconds = error.limit.limit.get_expiry()
    response = answer(429, f"wait {'an hour' if seconds > 60 else 'a minute'}, then try again")
    response.headers["Retry-After"] = str(seconds)
    return response


def _busy(error: BusyError) -> Response:
    response = answer(503, str(error))
    response.headers["Retry-After"] = str(BUSY_FOR_S)
    return response


def _unexpected(error: Exception) -> Response:
    if is_full(error):
        return _http_error(DiskFullError())
    if isinstance(error, AWAY):
        return _database_away(error)
    if isinstance(error, StoreAwayError):
        log.error("the file store is missing or empty: is its disk mounted?")
        return answer(503, "the file store is not available; try again later")
    if isinstance(error, SecretsError):
        log.error("%s", error)
        words = "the service is not set up correctly; tell the operator"
        return answer(503, words, person=AnonymousUserMixin())
    # The type and the place, never the text: it may quote a file name.
    kind = type(error)
    log.error("unexpected error", exc_info=(kind, Exception(kind.__name__), error.__traceback__))
    return answer(500, None)


def _database_away(error: Exception) -> Response:
    what = "refuses access" if lacks_rights(error) else "does not respond"
    log.error("the database %s: %s", what, why_away(error))
    words = f"the database {what}; try again in a moment"
    # Otherwise the page would ask the database for the user.
    return answer(503, words, person=AnonymousUserMixin())


def _first_complaint(detail: Any) -> str | None:
    """`{"json": {"name": ["Field required"]}}` in one line."""
    for fields in detail.values() if isinstance(detail, dict) else ():
        for field, complaints in fields.items():
            return f"{field}: {complaints[0]}"
    return None
