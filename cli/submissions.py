"""Remembers unfinished submissions, so that the same command goes on where it was cut off."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from models.secrets import write_private


class Submission:
    """What was sent where, kept in the data folder until all was sent."""

    def __init__(self, data_dir: Path, *, url: str, paths: Sequence[Path]) -> None:
        wanted = json.dumps([url, sorted(str(path.absolute()) for path in paths)])
        name = hashlib.sha256(wanted.encode(errors="surrogateescape")).hexdigest()[:32]
        self._path = data_dir / "submissions" / f"{name}.json"

    def job_id(self) -> str | None:
        try:
            return str(json.loads(self._path.read_text())["job_id"])
        except (OSError, ValueError, KeyError):
            return None

    def remember(self, job_id: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path, json.dumps({"job_id": job_id}))

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
