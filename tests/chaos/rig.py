"""The service on its own small disk, its database and its sender: the targets of faults."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import func, select

from models.config.settings import Settings
from models.files.store import FileStore
from models.session import AWAY, Sessions, make_engine, make_session_factory
from models.tables.intake import FINAL_STATES, Image, State
from tests.chaos.namespace import mount_disk, unmount_disk
from tests.chaos.sender import Sender
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.service import Service, command_line, is_alive

# Short, so that the claims of a killed worker lapse within seconds.
SETTINGS = {
    "chunk_time_limit_s": "8",
    "decode_timeout_s": "3",
    "sweep_interval_s": "1",
    "chunk_size": "16",
    "night_at": "",
}
RESERVE_BYTES = 4 * 2**20
# A network input takes 50 kB, a small image and its rows less; then broker, database, log, reserve.
BYTES_AN_IMAGE, BYTES_BESIDES = 120_000, 64 * 2**20
COMMAND_PARTS = {
    "portal": "gunicorn",
    "ingest": "-Q ingest",
    "predict": "-Q predict",
    "beat": "worker.app beat",
    "broker": "valkey-server",
    "decoder": "pipeline.prepare.process",
}


class Rig:
    """Everything that runs; `folder` holds the logs and, under `data`, the small disk."""

    def __init__(self, folder: Path, *, database: str, images: int) -> None:
        self.folder, self.database = folder, database
        folder.mkdir(parents=True)
        self._data_dir = folder / "data"
        self._data_dir.mkdir(mode=0o700)
        size = images * BYTES_AN_IMAGE + BYTES_BESIDES
        self.has_disk = mount_disk(self._data_dir, size_bytes=size)
        self.postgres = PostgresServer(keeping=True) if database == "postgresql" else None
        url = self.postgres.url("postgres") if self.postgres else ""
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        given = SETTINGS | {"disk_reserve_bytes": str(RESERVE_BYTES), "database_url": url}
        self.service = Service(folder, settings=given)
        self.settings = Settings(data=self._data_dir, database_url=url)
        self.store = FileStore(self.settings.files_dir)
        self.sessions: Sessions = make_session_factory(make_engine(self.settings))
        self.sender: Sender | None = None
        self._counted: Counter[State] = Counter()
        self.deleted: dict[str, str] = {}  # SHA-256 -> which of its files was deleted
        self.seen: list[psutil.Process] = []  # every process that was ever part of the service

    @property
    def data_dir(self) -> Path:
        return self._data_dir

    def start(self) -> None:
        self.service.start()
        self.note_processes()

    def send(self, folder: Path) -> Sender:
        self.sender = Sender(folder, data_dir=self.data_dir, log=self.folder / "sender.log")
        return self.sender

    def note_processes(self) -> None:
        """Remember the running processes, to find orphans later."""
        try:
            self.seen += [one for one in self.service.processes() if one not in self.seen]
        except psutil.NoSuchProcess:
            return

    def find(self, name: str) -> psutil.Process | None:
        """The first process of that name: a worker's parent before its children."""
        return next(iter(self.find_all(name)), None)

    def find_all(self, name: str) -> list[psutil.Process]:
        return [one for one in self._processes() if COMMAND_PARTS[name] in command_line(one)]

    def count(self) -> Counter[State]:
        """Images by state; the previous count while the database is down."""
        try:
            with self.sessions() as session:
                by_state = select(Image.state, func.count()).group_by(Image.state)
                self._counted = Counter(dict(session.execute(by_state).all()))
        except AWAY:
            pass
        return self._counted

    def finished(self) -> int:
        counts = self.count()
        return sum(counts[state] for state in FINAL_STATES)

    def bring_back(self) -> None:
        """Restart the database if it was stopped."""
        if self.postgres and not self.postgres.is_running:
            self.postgres.start()

    def end(self) -> None:
        if self.sender is not None:
            self.sender.stop()
        self.bring_back()
        self.service.end()

    def left_behind(self) -> list[str]:
        """Processes of the service that still run, seen before or found by their data folder."""
        ours = f"OVERREAD_DATA={self.data_dir}"
        found = {one for one in self.seen if one.is_running()}
        found |= {one for one in psutil.process_iter() if ours in _environment(one)}
        found -= {psutil.Process(os.getpid())}
        return [command_line(one) for one in found if is_alive(one)]

    def remove(self) -> None:
        self.sessions.engine.dispose()
        if self.postgres:
            self.postgres.stop()
        if self.has_disk:
            unmount_disk(self.data_dir)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        try:
            return self.service.processes()[1:]
        except psutil.NoSuchProcess:
            return []


def _environment(process: psutil.Process) -> list[str]:
    try:
        return [f"{name}={value}" for name, value in process.environ().items()]
    except (psutil.Error, OSError):
        return []


@contextmanager
def open_rig(folder: Path, *, database: str, images: int) -> Iterator[Rig]:
    rig = Rig(folder, database=database, images=images)
    try:
        rig.start()
        yield rig
    finally:
        rig.end()
        rig.remove()
