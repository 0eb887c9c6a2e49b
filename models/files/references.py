"""Which files the rows need, and which files of the store no row needs.

Lists are in order, with one piece of the rows and one folder of the store in memory at a time.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from models.config.settings import Settings
from models.files.store import FileStore
from models.intake.images import wants_upload
from models.query import ROWS_A_FETCH
from models.tables.intake import Image, ModelVersion, State
from models.tables.learning import ImportedImage, SnapshotImage

_HAVE_INPUT = (State.READY, State.PREDICTED)


class Needed(NamedTuple):
    """must: something is lost without the file."""

    sha256: str
    must: bool


class NeededFile(NamedTuple):
    """path: within the data folder; or of a version's folder that is gone."""

    path: str
    is_there: bool


def needed_files(session: Session, settings: Settings) -> Iterator[NeededFile]:
    """Files that exist, in order, and missing ones that must exist; without partial uploads."""
    store, data_dir = FileStore(settings.files_dir), settings.data_dir
    yield from _in_area("files/incoming", needed_uploads(session), data_dir)
    yield from _inputs(session, store, data_dir)
    yield from _in_area("files/stored", needed_stored(session), data_dir)
    folders = select(ModelVersion.folder).where(ModelVersion.folder.is_not(None))
    for folder in sorted(map(str, session.scalars(folders))):
        yield from _in_folder(folder, data_dir)


def needed_uploads(
    session: Session,
    among: Sequence[str] | None = None,
    *,
    ended_after: datetime | None = None,
) -> Iterator[Needed]:
    """Uploaded bytes, to be read for the first time or once more, see `wants_upload`."""
    other = aliased(Image)
    was_read = exists().where(other.sha256 == Image.sha256, other.stored_sha256.is_not(None))
    must = _is(and_(Image.state == State.RECEIVED, ~was_read))
    wanted = wants_upload(ended_after=ended_after)
    waiting = _pair(Image.sha256, must, among).where(wanted, Image.sha256 != "")
    yield from _merged(session, waiting)


def needed_inputs(session: Session, among: Sequence[str] | None = None) -> Iterator[Needed]:
    """Network inputs, by the hash of the upload."""
    read = _pair(Image.sha256, _is(Image.state.in_(_HAVE_INPUT)), among)
    learned = (_pair(one.sha256, literal(1), among) for one in (ImportedImage, SnapshotImage))
    yield from _merged(session, read.where(Image.stored_sha256.is_not(None)), *learned)


def needed_stored(session: Session, among: Sequence[str] | None = None) -> Iterator[Needed]:
    """De-identified files, shown to people."""
    stored = _pair(Image.stored_sha256, _is(Image.state.in_(_HAVE_INPUT)), among)
    yield from _merged(session, stored.where(Image.stored_sha256.is_not(None)))


def unneeded(
    session: Session, store: FileStore, area: str, *, ended_after: datetime | None = None
) -> Iterator[os.DirEntry[str]]:
    """Files of an area that no row needs, of inputs those of every preprocessing."""
    if area == "inputs":
        for one in sorted(store.preprocessings()):
            yield from _unneeded(store.root / area / one, needed_inputs(session))
    elif area == "stored":
        yield from _unneeded(store.root / area, needed_stored(session))
    else:
        uploads = needed_uploads(session, ended_after=ended_after)
        yield from _unneeded(store.root / area, uploads)


def _pair(sha256: Any, must: ColumnElement[int], among: Sequence[str] | None) -> Select[Any]:
    pair = select(sha256.label("sha256"), must.label("must"))
    return pair if among is None else pair.where(sha256.in_(among))


def _is(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _merged(session: Session, *queries: Select[Any]) -> Iterator[Needed]:
    """Each hash once, in order."""
    rows = union_all(*queries).subquery()
    once = select(rows.c.sha256, func.max(rows.c.must)).group_by(rows.c.sha256)
    in_order = once.order_by(rows.c.sha256).execution_options(yield_per=ROWS_A_FETCH)
    for sha256, must in session.execute(in_order):
        yield Needed(sha256, bool(must))


def _in_area(area: str, needed: Iterator[Needed], data_dir: Path) -> Iterator[NeededFile]:
    for sha256, must in needed:
        path = f"{area}/{sha256[:2]}/{sha256}"
        if (is_there := (data_dir / path).exists()) or must:
            yield NeededFile(path, is_there)


def _inputs(session: Session, store: FileStore, data_dir: Path) -> Iterator[NeededFile]:
    """Of every preprocessing there was; one of them is enough."""
    preprocessings = sorted(store.preprocessings())
    for preprocessing in preprocessings:
        for one in _in_area(f"files/inputs/{preprocessing}", needed_inputs(session), data_dir):
            if one.is_there:
                yield one
    for sha256, must in needed_inputs(session):
        if must and not any(store.has_network_input(sha256, one) for one in preprocessings):
            yield NeededFile(f"files/inputs/*/{sha256[:2]}/{sha256}", is_there=False)


def _in_folder(folder: str, data_dir: Path) -> Iterator[NeededFile]:
    paths = sorted(path for path in (data_dir / folder).rglob("*") if path.is_file())
    for path in paths:
        yield NeededFile(path.relative_to(data_dir).as_posix(), is_there=True)
    if not paths:
        yield NeededFile(folder, is_there=False)


def _unneeded(area: Path, needed: Iterator[Needed]) -> Iterator[os.DirEntry[str]]:
    """Files that are not needed, or that lie where nobody would look.

    needed: by rising hash, as the folders of an area lie: each after the first two digits.
    """
    hashes = (one.sha256 for one in needed)
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


def files_below(place: os.DirEntry[str] | Path) -> Iterator[os.DirEntry[str]]:
    """All files of a folder, at any depth; of a file, the file."""
    if isinstance(place, os.DirEntry) and not place.is_dir(follow_symlinks=False):
        yield place
        return
    for entry in _entries(place):
        yield from files_below(entry)


def _entries(folder: os.DirEntry[str] | Path | str) -> list[os.DirEntry[str]]:
    """Sorted by name; none where the folder does not exist."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
