"""A line for each request: what was asked, by whom, how it went; with ids, never with names.

The route's template stands for the address: addresses may hold a login link or a search.
"""

import logging
import re
import time
from uuid import uuid4

from flask import Flask, Response, g, request

from models.config.logs import follow, followed, forget

log = logging.getLogger(__name__)

ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_JOB_ID = re.compile(r"[0-9a-f]{32}")  # anything else in its place may be anything


def install_request_log(app: Flask) -> None:
    """Before everything else that hangs on requests, so that it sees what those refuse."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(lambda _: forget())


def follow_job(job_id: str) -> None:
    """For a job that the address does not name, since this request has just made it."""
    follow(job=job_id)


def route() -> str:
    return request.url_rule.rule if request.url_rule else "-"


def seconds_taken() -> float:
    return time.perf_counter() - float(g.get("began_at", time.perf_counter()))


def _begin() -> None:
    g.began_at = time.perf_counter()
    given = request.headers.get(ID_HEADER, "")
    forget()
    follow(request=given if _REQUEST_ID.fullmatch(given) else uuid4().hex)
    job_id = str((request.view_args or {}).get("job_id") or request.args.get("job_id", ""))
    if _JOB_ID.fullmatch(job_id):
        follow(job=job_id)


def _end(answer: Response) -> Response:
    answer.headers[ID_HEADER] = followed().get("request", "")
    if request.endpoint != "static":
        took_ms = round(1000 * seconds_taken(), 1)
        what = {
            "method": request.method,
            "route": route(),
            "status": answer.status_code,
            "duration_ms": took_ms,
            "user": _user_id(),
        }
        words = "%(method)s %(route)s %(status)d in %(duration_ms)g ms, user %(user)s"
        log.info(words, what, extra=what)
    return answer


def _user_id() -> int | None:
    """Of who was let in. Nobody is looked up for a request that is open to all."""
    who = g.get("_login_user")
    return getattr(who, "id", None)
