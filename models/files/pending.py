"""Files that a worker makes before their rows. Each is noted first; once the rows are written the
note goes.

A job that is cancelled or purged while a worker reads it would leave a patient's picture behind
that no row names, and so would a worker that dies then. The tidy finds the note, and deletes what
no row needs.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.files.deletion_lock import deleting
from models.files.purge import lock_images
from models.files.store import FileStore, make_private_folder
from models.query import batches
from models.session import Sessions
from models.tables.intake import Image
from models.tables.learning import ImportedImage, SnapshotImage

NOTES = "begun"  # a folder of the file store


@dataclass(frozen=True)
class Begun:
    """One content that a claim reads: of the upload, and of the de-identified file."""

    claim_id: str
    sha256: str
    stored_sha256: str


def note(store: FileStore, begun: Begun) -> None:
    """A name is all of it. Not forced to disk: what a power cut leaves, the doctor finds."""
    make_private_folder(store.root / NOTES)
    _path(store, begun).touch(mode=0o600)


def settle(store: FileStore, begun: Iterable[Begun]) -> None:
    for one in begun:
        _path(store, one).unlink(missing_ok=True)


def discard_unsettled(sessions: Sessions, store: FileStore, *, age_s: float) -> None:
    """age_s: of notes that nobody will settle any more. Waits while a backup is made."""
    before = time.time() - age_s
    notes = [path for path in (store.root / NOTES).glob("*") if _is_older(path, before)]
    for some in batches(notes):
        with sessions.begin() as session:
            lock_images(session)
            _discard_needless(session, store, [_read(path) for path in some])
        with deleting(store.root) as may_delete:
            if not may_delete:
                return  # a backup has begun meanwhile, and kept the files
            for path in some:
                path.unlink(missing_ok=True)


def _discard_needless(session: Session, store: FileStore, begun: Sequence[Begun]) -> None:
    stored, read = {one.stored_sha256 for one in begun}, {one.sha256 for one in begun}
    pictures = select(Image.stored_sha256).where(Image.stored_sha256.in_(stored))
    for sha256 in stored.difference(session.scalars(pictures)):
        store.delete(sha256, area="stored")
    inputs = (
        select(Image.sha256).where(Image.sha256.in_(read), Image.stored_sha256.is_not(None)),
        select(ImportedImage.sha256).where(ImportedImage.sha256.in_(read)),
        select(SnapshotImage.sha256).where(SnapshotImage.sha256.in_(read)),
    )
    for needed in inputs:
        read = read.difference(session.scalars(needed))
    for sha256 in read:
        store.delete_network_inputs(sha256)


def _path(store: FileStore, begun: Begun) -> Path:
    return store.root / NOTES / "-".join((begun.claim_id, begun.sha256, begun.stored_sha256))


def _read(path: Path) -> Begun:
    return Begun(*path.name.split("-"))


def _is_older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False  # settled just now
