"""What a running service leaves in its data folder so that others on the machine find it.

Ports on this machine.
"""

import errno
import fcntl
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.errors import UsageProblem
from models.config.secrets import write_private


@dataclass(frozen=True)
class RunningService:
    url: str
    broker_url: str  # holds the broker's password; the file is readable by its owner only
    token_file: str  # holds the API token by which this machine's commands come in
    pid: int


class AlreadyRunningError(Exception):
    """Another supervisor holds the data folder."""


@contextmanager
def hold_data_folder(data_dir: Path) -> Iterator[None]:
    """One supervisor per data folder. The kernel drops the lock with the process that held it."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "supervisor.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError from None
        # What a killed supervisor left behind is no longer true.
        service_path(data_dir).unlink(missing_ok=True)
        try:
            yield
        finally:
            service_path(data_dir).unlink(missing_ok=True)


def is_held(data_dir: Path) -> bool:
    """Whether a supervisor is alive, be it ready or not."""
    path = data_dir / "supervisor.lock"
    if not path.exists():
        return False
    with path.open() as lock:  # also where nothing can be written
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def announce(data_dir: Path, service: RunningService) -> None:
    write_private(service_path(data_dir), json.dumps(asdict(service)))


def running_service(data_dir: Path) -> RunningService | None:
    """None unless a supervisor is alive and has said that it is ready."""
    if not is_held(data_dir):
        return None
    try:
        return RunningService(**json.loads(service_path(data_dir).read_text()))
    except FileNotFoundError:
        return None


def service_path(data_dir: Path) -> Path:
    return data_dir / "service.json"


def is_free(host: str, port: int) -> bool:
    """Raises UsageProblem where nobody could listen, whether it is free or not."""
    return _listen(host, port) is not None


def free_port(host: str) -> int:
    """Raises UsageProblem."""
    port = _listen(host, 0)
    if port is None:
        raise UsageProblem(f"all ports of {host} are taken")
    return port


def _listen(host: str, port: int) -> int | None:
    """The port, for a moment; None where another program has it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        # As gunicorn binds: a port whose last connections linger counts as free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise UsageProblem(f"cannot listen on {host}, port {port}: {error.strerror}") from None
        found: int = listener.getsockname()[1]
        return found
