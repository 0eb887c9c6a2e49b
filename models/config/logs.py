"""Logging of every process: text for people, or JSON for machines.

Ids of jobs and requests are added to each line by `following(job=...)`, or `following(jobs=[...])`
where a worker's chunk holds images of several jobs. Ids only: no file names, patients, tokens or
URLs with their query.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from models.config.settings import Settings

# In the order in which text lines show them.
FIELDS = ("job", "jobs", "request")
JSON_FIELDS = ("levelname", "name", "message")
# Celery's copy of a task's arguments, and its colours.
UNWANTED = ("data", "color_message")
# Their INFO lines repeat the URL of every request.
VERBOSE = ("httpx", "httpcore")

_following: ContextVar[dict[str, Any] | None] = ContextVar("following", default=None)


def set_up_logging(settings: Settings, *, process: str) -> None:
    """Log to standard error. process: such as `portal`."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_followed)
    handler.setFormatter(make_formatter(settings.log_format, process=process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)


def make_formatter(log_format: str, *, process: str) -> logging.Formatter:
    if log_format == "text":
        return _TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    return JsonFormatter(
        JSON_FIELDS,
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"process": process},
        reserved_attrs=[*RESERVED_ATTRS, *UNWANTED],
        timestamp="time",
    )


@contextmanager
def following(**ids: Any) -> Iterator[None]:
    """Add these ids to every line of this thread within the block."""
    token = _following.set((_following.get() or {}) | ids)
    try:
        yield
    finally:
        _following.reset(token)


def follow(**ids: Any) -> None:
    """Add these ids to every line of this thread until `forget`."""
    _following.set((_following.get() or {}) | ids)


def forget() -> None:
    _following.set(None)


def followed() -> dict[str, Any]:
    return dict(_following.get() or {})


def _add_followed(record: logging.LogRecord) -> bool:
    """Values of the record itself go before those of the context."""
    for name, value in followed().items():
        if name not in record.__dict__:
            record.__dict__[name] = value
    return True


class _TextFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        given = ((name, record.__dict__.get(name)) for name in FIELDS)
        shown = (f" {name}={_shown(value)}" for name, value in given if value)
        return super().formatMessage(record) + "".join(shown)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
