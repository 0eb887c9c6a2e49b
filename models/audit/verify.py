"""Is the audit as it was written? The chain, and the anchors that lie outside the database.

An anchor says which digest a row had at some time. Whoever cuts off the newest rows, or writes the
whole chain anew, would have to alter the anchors, too; a copy of them elsewhere (a log collector, a
backup) is out of reach. Rows younger than the newest anchor can still be cut off unnoticed.
"""

import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from models.audit.log import digest_of, iter_sealed
from models.base import now
from models.config.secrets import write_private
from models.file_lock import file_lock

ANCHORS_FILE = "audit-anchors.jsonl"
CHECK_FILE = "audit-check.json"  # what the newest check found


@dataclass(frozen=True)
class Anchor:
    time: datetime
    id: int  # of a row
    digest: str  # that it had


@dataclass(frozen=True)
class Check:
    """broken: the first row that is not as it was written, or the place where one is missing."""

    time: datetime
    rows: int
    last_id: int  # of the newest row that was looked at
    last_digest: str
    broken: int | None = None
    why: str = ""

    @property
    def is_intact(self) -> bool:
        return not self.why


def verify(session: Session, anchors: dict[int, Anchor] | None = None) -> Check:
    """Every row, oldest first, and every anchor; ends at the first thing that is wrong."""
    left = deque(sorted((anchors or {}).values(), key=lambda anchor: anchor.id))
    rows, last_id, before = 0, 0, ""
    for row_id, what, digest in iter_sealed(session):
        broken, why = row_id, _wrong(digest, digest_of(what, before=before))
        if left and left[0].id < row_id:
            broken, why = left[0].id, _missing(left[0])
        elif left and left[0].id == row_id:
            anchor = left.popleft()
            why = why or ("" if anchor.digest == digest else _rewritten(anchor))
        if why:
            return Check(now(), rows, last_id, before, broken, why)
        rows, last_id, before = rows + 1, row_id, digest or ""
    if left:
        return Check(now(), rows, last_id, before, left[0].id, _missing(left[0]))
    return Check(now(), rows, last_id, before)


def check_audit(session: Session, data_dir: Path) -> Check:
    """Looks at everything; what is intact is anchored. The answer is kept for whoever asks."""
    try:
        anchors = read_anchors(data_dir)
    except ValueError as error:
        check = Check(now(), 0, 0, "", None, str(error))
    else:
        check = verify(session, anchors)
        if check.is_intact and check.rows and check.last_id not in anchors:
            _add_anchor(data_dir, Anchor(check.time, check.last_id, check.last_digest))
    kept = asdict(check) | {"time": check.time.isoformat()}
    write_private(data_dir / CHECK_FILE, json.dumps(kept) + "\n")
    return check


def newest_check(data_dir: Path) -> Check | None:
    try:
        kept = json.loads((data_dir / CHECK_FILE).read_text(encoding="ascii"))
        return Check(**kept | {"time": datetime.fromisoformat(kept["time"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # as good as none


def read_anchors(data_dir: Path) -> dict[int, Anchor]:
    """By row. ValueError names the file and the line that cannot be read."""
    path = data_dir / ANCHORS_FILE
    return {anchor.id: anchor for anchor in _read(path)} if path.exists() else {}


def _read(path: Path) -> Iterator[Anchor]:
    # After the last end of a line: nothing, or what a full disk cut off before it counted.
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            said = json.loads(line)
            time = datetime.fromisoformat(said["time"])
            yield Anchor(time, int(said["id"]), str(said["digest"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path.name}, line {number}: this is no anchor") from None


def _add_anchor(data_dir: Path, anchor: Anchor) -> None:
    said = {"time": anchor.time.isoformat(), "id": anchor.id, "digest": anchor.digest}
    with (
        file_lock(data_dir / ANCHORS_FILE, timeout_s=None) as descriptor,
        os.fdopen(descriptor, "rb+", closefd=False) as file,
    ):
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(json.dumps(said).encode() + b"\n")


def _wrong(kept: str | None, expected: str) -> str:
    if kept == expected:
        return ""
    return "it, or what stood before it, is not what was written" if kept else "it has no seal"


def _missing(anchor: Anchor) -> str:
    return f"it was there at {_when(anchor)} and is gone"


def _rewritten(anchor: Anchor) -> str:
    return f"the chain up to it is not the one that was anchored at {_when(anchor)}"


def _when(anchor: Anchor) -> str:
    return anchor.time.isoformat(sep=" ", timespec="seconds")
