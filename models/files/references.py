"""Which files the rows need, and which files of the store no row needs.

Lists are in order, with one batch of the rows and one folder of the store in memory at a time.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, true, union_all
from sqlalchemy.orm import Session, aliased

from models.config.settings import Settings
from models.files.store import AREAS, Area, FileStore
from models.intake.images import wants_upload
from models.query import ROWS_A_FETCH
from models.tables.intake import Image, ModelVersion, State
from models.tables.learning import ImportedImage, SnapshotImage


def needed(
    session: Session,
    area: Area,
    among: Sequence[str] | None = None,
    *,
    prefix: str = "",
    ended_after: datetime | None = None,
) -> Iterator[tuple[str, bool]]:
    """The files of an area that rows need, each hash once, in order, and whether something is lost
    without the file. prefix: of the hashes. ended_after: of uploads.
    """
    have_input = Image.state.in_((State.READY, State.PREDICTED))
    was_read = Image.stored_sha256.is_not(None)
    if area == "incoming":
        other = aliased(Image)
        was_read_elsewhere = exists().where(
            other.sha256 == Image.sha256, other.stored_sha256.is_not(None)
        )
        must = and_(Image.state == State.RECEIVED, ~was_read_elsewhere)
        wanted = and_(wants_upload(ended_after=ended_after), Image.sha256 != "")
        rows = [_rows(Image.sha256, must, among).where(wanted)]
    elif area == "inputs":
        rows = [_rows(one.sha256, true(), among) for one in (ImportedImage, SnapshotImage)]
        rows.append(_rows(Image.sha256, have_input, among).where(was_read))
    else:
        rows = [_rows(Image.stored_sha256, have_input, among).where(was_read)]
    found = union_all(*rows).subquery()
    once = select(found.c.sha256, func.max(found.c.must)).group_by(found.c.sha256)
    if prefix:
        once = once.where(found.c.sha256.between(prefix, f"{prefix}g"))  # after every digit
    in_order = once.order_by(found.c.sha256).execution_options(yield_per=ROWS_A_FETCH)
    for sha256, is_must in session.execute(in_order):
        yield sha256, bool(is_must)


def needed_files(session: Session, settings: Settings) -> Iterator[Path | None]:
    """Files that exist, in order, and None for each that must exist and does not; without partial
    uploads.
    """
    store = FileStore(settings.files_dir)
    for area in AREAS:
        yield from _in_area(session, store, area)
    folders = select(ModelVersion.folder).where(ModelVersion.folder.is_not(None))
    for folder in sorted(map(str, session.scalars(folders))):
        paths = [path for path in (settings.data_dir / folder).rglob("*") if path.is_file()]
        yield from sorted(paths)
        if not paths:
            yield None


def unneeded(
    session: Session, store: FileStore, area: Area, *, ended_after: datetime | None = None
) -> Iterator[os.DirEntry[str]]:
    """Files of an area that no row needs."""
    for folder in store.folders(area):
        yield from _unneeded(folder, needed(session, area, ended_after=ended_after))


def _rows(sha256: Any, must: ColumnElement[bool], among: Sequence[str] | None) -> Select[Any]:
    rows = select(sha256.label("sha256"), case((must, 1), else_=0).label("must"))
    return rows if among is None else rows.where(sha256.in_(among))


def _in_area(session: Session, store: FileStore, area: Area) -> Iterator[Path | None]:
    """Network inputs: of every preprocessing there was; one of them is enough."""
    folders = store.folders(area) or [store.root / area]
    for folder in folders:
        for sha256, must in needed(session, area):
            inside = f"{sha256[:2]}/{sha256}"
            if (path := folder / inside).exists():
                yield path
            elif must and folder == folders[-1] and not any((f / inside).exists() for f in folders):
                yield None


def _unneeded(area: Path, needed: Iterator[tuple[str, bool]]) -> Iterator[os.DirEntry[str]]:
    """Files that are not needed, or that lie where nobody would look.

    needed: by rising hash, as the folders of an area lie: each after the first two digits.
    """
    hashes = (sha256 for sha256, _ in needed)
    current = next(hashes, None)
    for folder in _entries(area):
        if not folder.is_dir(follow_symlinks=False):
            yield folder
            continue
        for file in _entries(folder.path):
            if file.is_dir(follow_symlinks=False) or file.name[:2] != folder.name:
                yield from files_below(file)
                continue
            while current is not None and current < file.name:
                current = next(hashes, None)
            if current != file.name:
                yield file


def files_below(entry: os.DirEntry[str] | Path) -> Iterator[os.DirEntry[str]]:
    """All files of a folder, at any depth; of a file, the file."""
    if isinstance(entry, os.DirEntry) and not entry.is_dir(follow_symlinks=False):
        yield entry
        return
    for one in _entries(entry):
        yield from files_below(one)


def _entries(folder: os.DirEntry[str] | Path | str) -> list[os.DirEntry[str]]:
    """Sorted by name; none where the folder does not exist."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
