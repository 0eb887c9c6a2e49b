"""One log line per request: route, user id, status, duration; ids only, no names.

It names the route's template, since addresses may contain login links or searches.
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
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def install_request_log(app: Flask) -> None:
    """Install it first, so that requests refused by others are logged, too."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(lambda _: forget())


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
            "user": getattr(g.get("person"), "id", None),
        }
        words = "%(method)s %(route)s %(status)d in %(duration_ms)g ms, user %(user)s"
        log.info(words, what, extra=what)
    return answer
