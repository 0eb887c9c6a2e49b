"""Remembers unfinished submissions, so that the same command goes on where it was cut off."""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.fatal import Failed
from cli.journal import Journal
from models.config.secrets import write_private


class Submission:
    """What was sent where, kept in the data folder until all was sent."""

    def __init__(self, data_dir: Path, *, service: str, paths: Sequence[Path]) -> None:
        """service: a remote one's address, or nothing: the data folder's own may change its."""
        wanted = json.dumps([service, sorted(str(path.absolute()) for path in paths)])
        name = hashlib.sha256(wanted.encode(errors="surrogateescape")).hexdigest()[:32]
        self.folder = data_dir / "submissions"
        self._path = self.folder / f"{name}.json"
        self._journal = self._path.with_suffix(".sqlite3")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Failed while another command sends the same; the kernel drops the lock with it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path.with_suffix(".lock")
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed("another `overread submit` is sending the same already") from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def job_id(self) -> str | None:
        job_id = self._notes().get("job_id")
        return str(job_id) if job_id else None

    @property
    def is_sent(self) -> bool:
        """All has arrived, or is given up; whether the job's end was answered is not known."""
        return bool(self._notes().get("sent"))

    def remember(self, job_id: str, *, is_sent: bool = False) -> None:
        write_private(self._path, json.dumps({"job_id": job_id, "sent": is_sent}))

    def _notes(self) -> dict[str, Any]:
        try:
            notes: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return notes

    def journal(self) -> Journal:
        return Journal(self._journal)

    def forget(self) -> None:
        self._journal.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
