"""The file by which commands find the service that runs on a data folder, and its lock."""

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
    broker_url: str  # contains the password; the file is readable by its owner only
    token_file: str  # of the API token for commands on this machine
    pid: int
    handover: str = ""  # the folder for files of commands on this machine


class AlreadyRunningError(Exception):
    """Another supervisor uses the data folder."""


@contextmanager
def hold_data_folder(data_dir: Path) -> Iterator[None]:
    """Lock the data folder for one supervisor; the lock ends with its process."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(data_dir / LOCK_FILE))
        except LockedError:
            raise AlreadyRunningError from None
        # A killed supervisor may have left it.
        service_path(data_dir).unlink(missing_ok=True)
        try:
            yield
        finally:
            service_path(data_dir).unlink(missing_ok=True)


def is_held(data_dir: Path) -> bool:
    """Whether a supervisor is alive, ready or not."""
    return is_locked(data_dir / LOCK_FILE)


def announce(data_dir: Path, service: RunningService) -> None:
    write_private(service_path(data_dir), json.dumps(asdict(service)))


def running_service(data_dir: Path) -> RunningService | None:
    """Return the service whose supervisor is alive and ready, or None."""
    if not is_held(data_dir):
        return None
    try:
        return RunningService(**json.loads(service_path(data_dir).read_text()))
    except FileNotFoundError:
        return None


def service_path(data_dir: Path) -> Path:
    return data_dir / "service.json"
