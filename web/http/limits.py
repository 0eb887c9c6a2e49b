"""What one request, and one user's requests a minute, may cost; stated beside the routes.

The rates are counted in the memory of the portal's process, by its monotonic clock: they hold, and
nobody waits, while the broker or the database is away. A second portal counts for itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from apiflask import APIFlask
from flask import current_app, request
from limits import RateLimitItemPerMinute
from werkzeug.exceptions import RequestEntityTooLarge, TooManyRequests

from models.config.settings import Settings
from web.auth.credentials import limiter
from web.auth.rules import View, marker, person
from web.http.params import check_query

BODY, RATE = "max_body_bytes", "rate"  # of a view
SMALL_BODY = 64 * 2**10  # of every view that does not state another limit
FORM_OVERHEAD = 16 * 2**20  # headers of that many parts, with long names
MAX_PARTS = 500  # files in one request, each of which may take an open file


@dataclass(frozen=True)
class Rate:
    """Requests of one user to all views of a kind."""

    kind: str
    a_minute: int

    def __str__(self) -> str:
        return f"{self.a_minute} {self.kind} a minute"


# Far above what our own clients send.
EXPORTS = Rate("exports", 120)
IMPORTS = Rate("imports", 60)
NEW_JOBS = Rate("new jobs", 240)
NIGHTS = Rate("nights and re-readings", 20)
PICTURES = Rate("pictures", 3000)
PURGES = Rate("purges", 120)
NEW_TOKENS = Rate("new tokens", 60)
VERIFICATIONS = Rate("verifications", 20)


def takes(max_bytes: int | None) -> Callable[[View], View]:
    """The view's longest body; None: a form with files, as long as the largest archive."""
    return marker(BODY, max_bytes)


def at_most(rate: Rate) -> Callable[[View], View]:
    return marker(RATE, rate)


def body_limit(view: Callable[..., Any]) -> int | None:
    return cast(int | None, view.__dict__.get(BODY, SMALL_BODY))


def rate_of(view: Callable[..., Any]) -> Rate | None:
    return cast(Rate | None, view.__dict__.get(RATE))


def install_limits(app: APIFlask, settings: Settings) -> None:
    """Before the access rules, which read forms; `check_request` comes after them."""
    app.config["MAX_CONTENT_LENGTH"] = settings.max_archive_bytes + FORM_OVERHEAD
    app.config["MAX_FORM_PARTS"] = MAX_PARTS
    app.before_request(_limit_body)


def check_request() -> None:
    """Query, length of the body before it is read, and the user's rate."""
    if request.endpoint is None:
        return
    view = current_app.view_functions[request.endpoint]
    if (request.content_length or 0) > (request.max_content_length or 0):
        raise RequestEntityTooLarge
    if request.path.startswith("/api/"):
        check_query(view)
    rate = rate_of(view)
    minute, second = divmod(time.monotonic(), 60)
    if rate is not None and not limiter.limiter.hit(
        RateLimitItemPerMinute(rate.a_minute), rate.kind, str(person().id), str(minute)
    ):
        raise TooManyRequests(f"at most {rate} are allowed", retry_after=60 - int(second))


def _limit_body() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    limit = SMALL_BODY if view is None else body_limit(view)
    if limit is not None:
        request.max_content_length = limit
