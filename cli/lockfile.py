"""What a running service leaves in its data folder so that others on the machine find it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from models.config.secrets import write_private
from models.file_lock import LockedError, file_lock, is_locked

LOCK_FILE = "supervisor.lock"


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
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(data_dir / LOCK_FILE))
        except LockedError:
            raise AlreadyRunningError from None
        # What a killed supervisor left behind is no longer true.
        service_path(data_dir).unlink(missing_ok=True)
        try:
            yield
        finally:
            service_path(data_dir).unlink(missing_ok=True)


def is_held(data_dir: Path) -> bool:
    """Whether a supervisor is alive, be it ready or not."""
    return is_locked(data_dir / LOCK_FILE)


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
