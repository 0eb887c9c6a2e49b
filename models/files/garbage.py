"""Delete the files that no row needs: mark, by `models.files.references`, and sweep.

Writers store files first and record their rows afterwards; a purge deletes rows first and their
files afterwards. What a killed process leaves is therefore a file without a row, and
`collect_garbage` finds it once it is older than any writer takes.

A writer may rely on a file that is already there, and that is deleted before its row is recorded.
Deletions therefore hold the image table's lock, and whoever records such rows takes
`hold_off_purges` and checks in the same transaction that the files are still there.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from shutil import rmtree

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.clock import moment_before
from models.file_lock import LockedError
from models.files.deletion_lock import deleting
from models.files.partial import PartialFiles
from models.files.pictures import delete_pictures
from models.files.references import needed, unneeded
from models.files.store import Area, FileStore, delete_older, is_older
from models.intake.uploads import advance, missing_uploads
from models.learning.nights import open_night
from models.learning.versions import NETWORKS
from models.query import batches
from models.session import Sessions
from models.tables.intake import Upload
from pipeline.atomic_file import PARTIAL

MOST = 10_000  # files of an area a run; the others wait for the next one
DAY_S = 24 * 3600.0
LEFTOVERS = (f".*{PARTIAL}*", ".*.training")  # also see `pipeline.training.checkpoint`


def collect_garbage(
    sessions: Sessions, store: FileStore, *, lease_s: float, age_s: float = DAY_S
) -> None:
    """Delete files without rows. Ends early while a backup is made.

    lease_s: how long a worker may take from a stored file to its row. age_s: how long all others
    may take: senders, imports of whole sets, trainings; and how long what was cancelled or failed
    can be tried again.
    """
    moment = moment_before(age_s)
    _sweep(sessions, store, "stored", moment_before(2 * lease_s))
    _sweep(sessions, store, "inputs", moment)
    _sweep(sessions, store, "incoming", moment)
    _discard_partial_uploads(sessions, store, moment)
    _discard_leftovers(sessions, store, moment)


def delete_unneeded(
    sessions: Sessions, store: FileStore, *, stored: Iterable[str], inputs: Iterable[str]
) -> None:
    """Delete those of these files that no row needs; while a backup is made, none."""
    with deleting(store.root) as may_delete:
        if may_delete:
            with sessions.begin() as session:
                lock_images(session)
                delete_files(session, store, "stored", dict.fromkeys(stored, math.inf))
                delete_files(session, store, "inputs", dict.fromkeys(inputs, math.inf))


def delete_files(
    session: Session,
    store: FileStore,
    area: Area,
    before: Mapping[str, float],
    *,
    ended_after: datetime | None = None,
) -> None:
    """Delete those of an area's files that no row needs. The caller holds `lock_images` and
    `deleting`.

    before: seconds since the epoch, by hash; younger files stay, since their row is about to be
    written. ended_after: see `wants_upload`.
    """
    for some in batches(sorted(before)):
        kept = dict(needed(session, area, some, ended_after=ended_after))
        gone = set(some) - kept.keys()
        for sha256 in gone:
            for path in store.paths(area, sha256):
                delete_older(path, before[sha256])
        if area == "stored":
            delete_pictures(store, [one for one in gone if not store.exists(one)])


def lock_images(session: Session) -> None:
    """Until the transaction ends nobody adds or changes an image: a file that none needs can go."""
    _lock_images(session, "SHARE ROW EXCLUSIVE")


def hold_off_purges(session: Session) -> None:
    """Until the transaction ends no file is deleted: for writers of rows that need files."""
    _lock_images(session, "ROW EXCLUSIVE")


def _lock_images(session: Session, mode: str) -> None:
    """SQLite has one writer anyway, from the moment at which it is connected."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text(f"LOCK TABLE image IN {mode} MODE"))


def _sweep(sessions: Sessions, store: FileStore, area: Area, moment: float) -> None:
    ended_after = datetime.fromtimestamp(moment, UTC)
    with sessions() as session:
        marked = unneeded(session, store, area, ended_after=ended_after)
        old = (file.name for file in marked if is_older(file.path, moment))
        hashes = list(islice(old, MOST))
    for some in batches(hashes):
        with deleting(store.root) as may_delete, sessions.begin() as session:
            if not may_delete:
                return
            lock_images(session)
            before = dict.fromkeys(some, moment)
            delete_files(session, store, area, before, ended_after=ended_after)


def _discard_partial_uploads(sessions: Sessions, store: FileStore, moment: float) -> None:
    """Those that nobody expects, and old ones, which have to be sent again from the start."""
    for upload_ids in batches(PartialFiles(store).all()):
        with sessions() as session:
            missing = missing_uploads(session, upload_ids)
        for upload_id in upload_ids:
            with suppress(LockedError):  # it is being sent
                _discard_partial(sessions, store, upload_id, missing.get(upload_id), moment)


def _discard_partial(
    sessions: Sessions, store: FileStore, upload_id: int, missing: Upload | None, moment: float
) -> None:
    with PartialFiles(store).hold(upload_id) as partial:
        if missing is not None:
            if not is_older(partial.path, moment):
                return
            with sessions.begin() as session:
                if not advance(session, upload_id, before=missing.received, received=0):
                    return  # more of it has come
        partial.discard()


def _discard_leftovers(sessions: Sessions, store: FileStore, moment: float) -> None:
    """Half-written files, versions and trainings; an open night may need its own."""
    data_dir = store.root.parent
    left = [*store.temporary.glob("*"), *data_dir.glob(LEFTOVERS[0])]
    left += [store.root / name for name in ("begun", "purged")]  # notes of release 0.1
    with sessions() as session:
        if open_night(session) is None:
            left += [path for kind in LEFTOVERS for path in (data_dir / NETWORKS).glob(kind)]
    for path in left:
        if not is_older(path, moment):
            continue
        if path.is_dir():
            rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
