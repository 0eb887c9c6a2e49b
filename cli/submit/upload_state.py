"""What a submission has declared and what has arrived, kept beside the command until all is sent.

One row for each declaration. A file that has not changed since its row was written (path, size,
time) is not hashed again; one that has is declared anew, and its old row stays behind, not seen in
this run. It holds names of files: private to its owner, and gone with the submission.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from cli.walk import Source

PAGE = 500
_TABLE = """
CREATE TABLE IF NOT EXISTS upload (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    received INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    run INTEGER NOT NULL,
    trouble TEXT
)
"""
GONE = "has changed or gone since it was declared"


@dataclass(frozen=True)
class Hashed:
    """A file as it was when it was looked at."""

    source: Source
    size: int  # bytes
    modified_ns: int
    sha256: str


@dataclass(frozen=True)
class Upload:
    """A declared file that has not arrived. id: the service's. received: bytes that it has."""

    id: int
    file: str
    path: Path
    size: int
    sha256: str
    received: int


@dataclass(frozen=True)
class Totals:
    """Of what this run has declared."""

    files: int
    bytes: int
    arrived: int  # files
    received_bytes: int


class Journal:
    """For one thread. Each method is a transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._rows = sqlite3.connect(path, timeout=30)
        with self._rows:
            self._rows.execute(_TABLE)
            self._rows.execute("CREATE INDEX IF NOT EXISTS upload_path ON upload (path, file)")
        (last,) = self._rows.execute("SELECT max(run) FROM upload").fetchone()
        self._run = (last or 0) + 1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rows.close()

    def hash_of(self, source: Source, *, size: int, modified_ns: int) -> str | None:
        """As it was found earlier, if the file has not changed since."""
        row = self._rows.execute(
            "SELECT sha256 FROM upload"
            " WHERE path = ? AND file = ? AND size = ? AND modified_ns = ?",
            (os.fsencode(source.path), source.file, size, modified_ns),
        ).fetchone()
        return str(row[0]) if row else None

    def declared(self, files: Iterable[tuple[Hashed, int, int, bool]]) -> None:
        """Each with the service's answer: its id, the bytes it has, whether it has arrived."""
        rows = [
            (
                upload_id,
                found.source.file,
                os.fsencode(found.source.path),
                found.size,
                found.modified_ns,
                found.sha256,
                received,
                has_arrived,
                self._run,
            )
            for found, upload_id, received, has_arrived in files
        ]
        with self._rows:
            self._rows.executemany(
                "INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows
            )

    def missing(self) -> Iterator[Upload]:
        """Of this run, in the order of declaration; may be written to meanwhile."""
        last = 0
        while rows := self._rows.execute(
            "SELECT id, file, path, size, sha256, received FROM upload"
            " WHERE run = ? AND NOT arrived AND trouble IS NULL AND id > ? ORDER BY id LIMIT ?",
            (self._run, last, PAGE),
        ).fetchall():
            for upload_id, file, path, *others in rows:
                last = upload_id
                yield Upload(upload_id, file, Path(os.fsdecode(path)), *others)

    def arrived(self, upload_ids: Sequence[int]) -> None:
        with self._rows:
            self._rows.executemany(
                "UPDATE upload SET arrived = 1 WHERE id = ?", [(one,) for one in upload_ids]
            )

    def troubled(self, troubles: Iterable[tuple[int, str]]) -> None:
        with self._rows:
            self._rows.executemany(
                "UPDATE upload SET trouble = ? WHERE id = ?",
                [(cause, upload_id) for upload_id, cause in troubles],
            )

    def cause(self, upload_id: int) -> tuple[str, str] | None:
        """The file's name, and why this declaration will never be met; None where it should be."""
        row = self._rows.execute(
            "SELECT file, trouble, run FROM upload WHERE id = ?", (upload_id,)
        ).fetchone()
        if row is None:
            return None
        file, trouble, run = row
        return (file, trouble or GONE) if trouble or run < self._run else None

    def totals(self) -> Totals:
        row = self._rows.execute(
            "SELECT count(*), total(size), total(arrived),"
            " total(CASE WHEN arrived THEN size ELSE received END) FROM upload WHERE run = ?",
            (self._run,),
        ).fetchone()
        return Totals(*map(int, row))

    def count_arrived(self) -> int:
        """In all runs: a file that has changed since arrived as it was."""
        (number,) = self._rows.execute("SELECT count(*) FROM upload WHERE arrived").fetchone()
        return int(number)
