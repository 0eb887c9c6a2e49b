"""The service on its own small disk, its database and its sender: the targets of faults."""

import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from sqlalchemy import func, select

from models.base import now
from models.config.settings import Settings
from models.files.store import FileStore
from models.session import AWAY, make_sessions
from models.tables.intake import FINAL_STATES, Image, State
from tests.chaos.namespace import mount_disk, unmount_disk
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.service import Service, command_line, environment, is_alive

# Short, so that the claims of a killed worker lapse within seconds.
SETTINGS = {
    "chunk_time_limit_s": "8",
    "decode_timeout_s": "3",
    "sweep_interval_s": "1",
    "chunk_size": "16",
    "night_at": "",
    "disk_reserve_bytes": str(4 * 2**20),
}
# A network input takes 50 kB, a small image and its rows less; then broker, database, log, reserve.
BYTES_AN_IMAGE, BYTES_BESIDES = 120_000, 64 * 2**20
COMMAND_PARTS = {
    "portal": "gunicorn",
    "ingest": "-Q ingest",
    "predict": "-Q predict",
    "beat": "worker.beat beat",
    "broker": "valkey-server",
    "decoder": "pipeline.prepare.process",
}
WORKS_ON = {"ingest": State.RECEIVED, "predict": State.READY}
WAIT_S = 3.0  # how long a fault waits for a target
PAUSE_S = 0.5  # before submitting again; a user would take longer


class Sender(threading.Thread):
    """Runs `overread submit` until it succeeds, as a user would. starts: how often."""

    process: psutil.Popen  # of the last start

    def __init__(self, upload: Path, *, data_dir: Path, log: Path) -> None:
        super().__init__(daemon=True)
        self.starts, self.took_s = 0, 0.0
        self._upload, self._data_dir, self._log = upload, data_dir, log
        self._is_over = threading.Event()

    def start(self) -> None:
        self._submit()
        super().start()

    def run(self) -> None:
        began = time.monotonic()
        while self.process.wait() and not self._is_over.wait(PAUSE_S):
            self._submit()
        self.took_s = time.monotonic() - began

    def stop(self) -> None:
        self._is_over.set()
        if self.is_alive():
            with suppress(psutil.NoSuchProcess):
                self.process.kill()
            self.join(timeout=10)

    def _submit(self) -> None:
        self.starts += 1
        with self._log.open("ab") as log:
            self.process = psutil.Popen(
                [sys.executable, "-m", "tests.chaos.submit", "submit", str(self._upload)],
                env=environment(self._data_dir),
                stdout=log,
                stderr=subprocess.STDOUT,
            )


class Rig:
    """Everything that runs; `folder` holds the logs and, under `data`, the small disk."""

    def __init__(
        self, folder: Path, upload: Path, *, database: str, one_step: bool, images: int
    ) -> None:
        self.folder, self.data_dir, self.upload = folder, folder / "data", upload
        self.data_dir.mkdir(mode=0o700, parents=True)
        size = images * BYTES_AN_IMAGE + BYTES_BESIDES
        self.has_disk = mount_disk(self.data_dir, size_bytes=size)
        self.postgres = PostgresServer(keeping=True) if database == "postgresql" else None
        url = self.postgres.url("postgres") if self.postgres else ""
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        given = {"database_url": url, "one_step": str(one_step)}
        self.service = Service(folder, settings=SETTINGS | given)
        self.settings = Settings(data=self.data_dir, database_url=url)
        self.store = FileStore(self.settings.files_dir)
        self.sessions = make_sessions(self.settings)
        self.sender = Sender(upload, data_dir=self.data_dir, log=folder / "sender.log")
        self.deleted: dict[str, str] = {}  # SHA-256 -> which of its files was deleted
        self._began = time.monotonic()
        self._counted: Counter[State] = Counter()
        self._seen: list[psutil.Process] = []  # every process that was ever part of the service

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def start(self) -> None:
        self.service.start()
        self.note_processes()
        self.sender.start()

    def note_processes(self) -> None:
        """Remember the running processes, to find orphans later."""
        with suppress(psutil.NoSuchProcess):
            self._seen += [one for one in self.service.processes() if one not in self._seen]

    def find(self, name: str) -> psutil.Process:
        """The first process of that name: a worker's parent before its children."""
        return self.find_all(name)[0]

    def find_all(self, name: str) -> list[psutil.Process]:
        """Raises psutil.NoSuchProcess if there is none."""
        found = self.service.find_all(COMMAND_PARTS[name])
        if not found:
            raise psutil.NoSuchProcess(0, name)
        return found

    def count(self) -> Counter[State]:
        """Images by state; the previous count while the database is down."""
        with suppress(*AWAY), self.sessions() as session:
            by_state = select(Image.state, func.count()).group_by(Image.state)
            self._counted = Counter(dict(session.execute(by_state).all()))
        return self._counted

    def finished(self) -> int:
        counts = self.count()
        return sum(counts[state] for state in FINAL_STATES)

    def say(self, text: str) -> None:
        states = " ".join(f"{state}={count}" for state, count in self.count().items())
        sys.stderr.write(f"{self.seconds:6.1f} s  {text:<50} {states}\n")

    def end(self) -> None:
        """Restart the database if it was stopped, and stop the service in order."""
        self.sender.stop()
        if self.postgres and not self.postgres.is_running:
            self.postgres.start()
        self.service.end()

    def left_behind(self) -> list[str]:
        """Processes of the service that still run, seen before or found by their data folder."""
        found = {one for one in self._seen if one.is_running()}
        found |= {one for one in psutil.process_iter() if _data_of(one) == str(self.data_dir)}
        return [command_line(one) for one in found - {psutil.Process()} if is_alive(one)]

    def remove(self) -> None:
        self.sessions.engine.dispose()
        if self.postgres:
            self.postgres.stop()
        if self.has_disk:
            unmount_disk(self.data_dir)
        shutil.rmtree(self.folder, ignore_errors=True)


def _data_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("OVERREAD_DATA")
    except (psutil.Error, OSError):
        return None


@contextmanager
def open_rig(
    folder: Path, upload: Path, *, database: str, one_step: bool, images: int
) -> Iterator[Rig]:
    rig = Rig(folder, upload, database=database, one_step=one_step, images=images)
    try:
        rig.start()
        yield rig
    finally:
        rig.end()
        rig.remove()


def wait_until_busy(rig: Rig, name: str, *, within_s: float = WAIT_S) -> int:
    """Return how many images this worker holds then; 0 if it got none in time."""
    if name not in WORKS_ON:
        return 0
    held = select(func.count()).where(
        Image.state == WORKS_ON[name], Image.leased_by.is_not(None), Image.leased_until > now()
    )
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with suppress(*AWAY), rig.sessions() as session:
            if count := session.scalar(held):
                return count
        time.sleep(0.01)
    return 0


def unclaimed(rig: Rig, state: State) -> list[str]:
    free = select(Image.sha256).where(Image.state == state, Image.leased_by.is_(None))
    with suppress(*AWAY), rig.sessions() as session:
        return sorted(session.scalars(free.limit(200)))
    return []


@contextmanager
def frozen(victim: psutil.Process) -> Iterator[None]:
    victim.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            victim.resume()
