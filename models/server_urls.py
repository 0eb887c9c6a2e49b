"""Addresses of database and broker, looked at before anything connects. Errors show none of them:
they may hold a password.
"""

import re
from urllib.parse import urlsplit

SQLITE, POSTGRES = "sqlite:///", "postgresql+psycopg://"
REDIS = ("redis://", "rediss://")
NO_PORT = (
    "expected a port from 1 to 65535 after the host; "
    "are signs such as / and @ in its password written %2F, %40?"
)


def check_database_url(url: str) -> None:
    """Raises ValueError."""
    if url.startswith(SQLITE):
        if url.removeprefix(SQLITE).partition("?")[0] in ("", ":memory:"):
            raise ValueError(f"expected a file's path after {SQLITE}")
    elif url.startswith(POSTGRES):
        # SQLAlchemy takes passwords with a slash, so what is before "@" is none of our business.
        address = url.removeprefix(POSTGRES).rpartition("@")[2]
        _check_port("//" + address)
    else:
        raise ValueError(f"expected a URL beginning with {SQLITE} or {POSTGRES}")


def check_broker_url(url: str) -> None:
    """Raises ValueError."""
    if url.startswith(REDIS):
        _check_port(url)
        if not re.fullmatch("/?[0-9]*", urlsplit(url).path):
            raise ValueError("expected the number of a database after the host, such as /0")
    elif not url.startswith("redis+socket://"):
        raise ValueError("expected a URL beginning with redis://, rediss:// or redis+socket://")


def _check_port(url: str) -> None:
    try:
        is_port = urlsplit(url).port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError(NO_PORT)
