"""Verify the audit chain, and the anchors that are kept in a file outside the database.

An anchor records which digest a row had at a time. Removing the newest rows, or rewriting the whole
chain, would need the anchors to be changed too; a copy elsewhere (a log collector, a backup) is
out of reach. Rows newer than the newest anchor can still be removed unnoticed.

The database lists the anchors as well, each with a keyed hash, so that the file cannot be deleted
or cut unnoticed, nor can an anchor be forged by someone without the installation's key.
"""

import json
import os
import shutil
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.audit.log import digest_of, iter_sealed
from models.base import now
from models.config.secrets import write_private
from models.file_lock import file_lock
from models.query import insert_new
from models.session import Sessions
from models.tables.intake import AuditAnchor
from pipeline.pseudonym import pseudonym

ANCHORS_FILE = "audit-anchors.jsonl"
CHECK_FILE = "audit-check.json"  # the newest check


@dataclass(frozen=True)
class Anchor:
    time: datetime
    id: int  # of a row
    digest: str


@dataclass(frozen=True)
class Check:
    """rows: verified, from the oldest on; last_id: the newest of them.

    broken: the first row that was changed, or before which one is missing. why: a clause.
    """

    time: datetime
    rows: int
    last_id: int
    last_digest: str
    broken: int | None = None
    why: str = ""

    @property
    def is_intact(self) -> bool:
        return not self.why


def verify(session: Session, anchors: dict[int, Anchor] | None = None) -> Check:
    """Every row, oldest first, and every anchor; ends at the first problem."""
    left = deque(sorted((anchors or {}).values(), key=lambda anchor: anchor.id))
    rows, last_id, before = 0, 0, ""
    for row_id, what, digest in iter_sealed(session):
        broken, why = row_id, _wrong(digest, digest_of(what, before=before))
        if left and left[0].id < row_id:
            broken, why = left[0].id, _missing(left[0])
        elif left and left[0].id == row_id:
            anchor = left.popleft()
            if not why and anchor.digest != digest:
                why = f"the chain differs from the one anchored at {_when(anchor)}"
        if why:
            return Check(now(), rows, last_id, before, broken, why)
        rows, last_id, before = rows + 1, row_id, digest or ""
    if left:
        return Check(now(), rows, last_id, before, left[0].id, _missing(left[0]))
    return Check(now(), rows, last_id, before)


def check_audit(sessions: Sessions, data_dir: Path, *, key: bytes) -> Check:
    """Verify all rows and anchors, anchor an intact chain, and keep the result for `newest_check`.

    key: the installation's identity key.
    """
    try:
        anchors = read_anchors(data_dir)
    except ValueError as error:
        check = Check(now(), 0, 0, "", None, str(error))
    else:
        with sessions() as session:
            check = _check_listed(session, anchors, key) or verify(session, anchors)
        if check.is_intact and check.rows and check.last_id not in anchors:
            anchor = Anchor(check.time, check.last_id, check.last_digest)
            _add_anchor(data_dir, anchor)
            with sessions.begin() as session:
                # Another check may list the same anchor at this moment.
                row = {"audit_id": anchor.id, "keyed_hash": _keyed_hash(anchor, key)}
                insert_new(session, AuditAnchor, [row])
    kept = asdict(check) | {"time": check.time.isoformat()}
    write_private(data_dir / CHECK_FILE, json.dumps(kept) + "\n")
    return check


def _check_listed(session: Session, anchors: dict[int, Anchor], key: bytes) -> Check | None:
    """Of the anchors that the database lists: the first that the file lacks or has differently.

    Anchors that only the file has are of older releases, or the process ended in between.
    """
    for listed in session.scalars(select(AuditAnchor).order_by(AuditAnchor.audit_id)):
        anchor = anchors.get(listed.audit_id)
        if anchor is None:
            why = f"{ANCHORS_FILE} lacks an anchor that was made for this row"
        elif listed.keyed_hash != _keyed_hash(anchor, key):
            why = f"the row's anchor in {ANCHORS_FILE} is not the one that was made"
        else:
            continue
        return Check(now(), 0, 0, "", listed.audit_id, why)
    return None


def _keyed_hash(anchor: Anchor, key: bytes) -> str:
    return pseudonym(key, "audit anchor", str(anchor.id), anchor.digest)


def newest_check(data_dir: Path) -> Check | None:
    try:
        kept = json.loads((data_dir / CHECK_FILE).read_text(encoding="ascii"))
        return Check(**kept | {"time": datetime.fromisoformat(kept["time"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_anchors(data_dir: Path) -> dict[int, Anchor]:
    """By row id. ValueError names the file and the line that cannot be read."""
    path = data_dir / ANCHORS_FILE
    if not path.exists():
        return {}
    # After the last newline: nothing, or what a full disk cut off before it counted.
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    anchors: dict[int, Anchor] = {}
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            row_id, time = int(fields["id"]), datetime.fromisoformat(fields["time"])
            anchors[row_id] = Anchor(time, row_id, str(fields["digest"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path.name}, line {number}: not an anchor") from None
    return anchors


def copy_anchors(data_dir: Path, target: Path, *, up_to: int) -> None:
    """Those of rows up to an id, for a backup of the rows: it must have all anchors that these
    rows list, and none of a row that they lack.
    """
    try:
        anchors = [one for one in read_anchors(data_dir).values() if one.id <= up_to]
    except ValueError:  # the next check reports it, of the copy too
        shutil.copyfile(data_dir / ANCHORS_FILE, target / ANCHORS_FILE)
        return
    if anchors:
        write_private(target / ANCHORS_FILE, "".join(map(_line, anchors)))


def _add_anchor(data_dir: Path, anchor: Anchor) -> None:
    with (
        file_lock(data_dir / ANCHORS_FILE, timeout_s=None) as descriptor,
        os.fdopen(descriptor, "rb+", closefd=False) as file,
    ):
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(_line(anchor).encode())


def _line(anchor: Anchor) -> str:
    fields = {"time": anchor.time.isoformat(), "id": anchor.id, "digest": anchor.digest}
    return json.dumps(fields) + "\n"


def _wrong(kept: str | None, expected: str) -> str:
    if kept == expected:
        return ""
    return "the row, or one before it, was changed" if kept else "the row has no digest"


def _missing(anchor: Anchor) -> str:
    return f"the row existed at {_when(anchor)} and is missing"


def _when(anchor: Anchor) -> str:
    return anchor.time.isoformat(sep=" ", timespec="seconds")
