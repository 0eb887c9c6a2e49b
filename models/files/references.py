"""Which files the rows need; lists in order, of which only a piece is in memory at a time.

What lies in the file store, compared with what should; a folder of it in memory at a time.
"""

import os
from collections.abc import Iterator
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


class Wanted(NamedTuple):
    """must: something is lost without it."""

    sha256: str
    must: bool


class Needed(NamedTuple):
    """path: within the data folder; of a version's folder that is gone, the folder's."""

    path: str
    is_there: bool


def needed_files(session: Session, settings: Settings) -> Iterator[Needed]:
    """Those that are there, in order, and those that must be; not partial uploads."""
    store, data_dir = FileStore(settings.files_dir), settings.data_dir
    yield from _in_area("files/incoming", wanted_uploads(session), data_dir)
    yield from _inputs(session, store, data_dir)
    yield from _in_area("files/stored", wanted_stored(session), data_dir)
    folders = select(ModelVersion.folder).where(ModelVersion.folder.is_not(None))
    for folder in sorted(map(str, session.scalars(folders))):
        yield from _in_folder(folder, data_dir)


def wanted_uploads(session: Session) -> Iterator[Wanted]:
    """Bytes as they came: to be read for the first time, or once more."""
    other = aliased(Image)
    was_read = exists().where(other.sha256 == Image.sha256, other.stored_sha256.is_not(None))
    must = _is(and_(Image.state == State.RECEIVED, ~was_read))
    yield from _merged(session, _pair(Image.sha256, must).where(wants_upload(), Image.sha256 != ""))


def wanted_inputs(session: Session) -> Iterator[Wanted]:
    """Contents whose network inputs are kept."""
    read = _pair(Image.sha256, _is(Image.state.in_(_HAVE_INPUT)))
    learned = (_pair(one.sha256, literal(1)) for one in (ImportedImage, SnapshotImage))
    yield from _merged(session, read.where(Image.stored_sha256.is_not(None)), *learned)


def wanted_stored(session: Session) -> Iterator[Wanted]:
    """De-identified files for people to look at."""
    stored = _pair(Image.stored_sha256, _is(Image.state.in_(_HAVE_INPUT)))
    yield from _merged(session, stored.where(Image.stored_sha256.is_not(None)))


def _pair(sha256: Any, must: ColumnElement[int]) -> Select[Any]:
    return select(sha256.label("sha256"), must.label("must"))


def _is(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _merged(session: Session, *queries: Select[Any]) -> Iterator[Wanted]:
    """Each hash once, in order."""
    rows = union_all(*queries).subquery()
    once = select(rows.c.sha256, func.max(rows.c.must)).group_by(rows.c.sha256)
    in_order = once.order_by(rows.c.sha256).execution_options(yield_per=ROWS_A_FETCH)
    for sha256, must in session.execute(in_order):
        yield Wanted(sha256, bool(must))


def _in_area(area: str, wanted: Iterator[Wanted], data_dir: Path) -> Iterator[Needed]:
    for sha256, must in wanted:
        path = f"{area}/{sha256[:2]}/{sha256}"
        if (is_there := (data_dir / path).exists()) or must:
            yield Needed(path, is_there)


def _inputs(session: Session, store: FileStore, data_dir: Path) -> Iterator[Needed]:
    """Of every preprocessing that there was; one of them is enough."""
    preprocessings = sorted(store.preprocessings())
    for preprocessing in preprocessings:
        for one in _in_area(f"files/inputs/{preprocessing}", wanted_inputs(session), data_dir):
            if one.is_there:
                yield one
    for sha256, must in wanted_inputs(session):
        if must and not any(store.has_network_input(sha256, one) for one in preprocessings):
            yield Needed(f"files/inputs/*/{sha256[:2]}/{sha256}", is_there=False)


def _in_folder(folder: str, data_dir: Path) -> Iterator[Needed]:
    paths = sorted(path for path in (data_dir / folder).rglob("*") if path.is_file())
    for path in paths:
        yield Needed(path.relative_to(data_dir).as_posix(), is_there=True)
    if not paths:
        yield Needed(folder, is_there=False)


def unwanted(area: Path, wanted: Iterator[Wanted]) -> Iterator[os.DirEntry[str]]:
    """Files that nobody asks for, or that lie where nobody would look.

    wanted: by rising hash, as the folders of an area lie: each after the first two digits.
    """
    hashes = (one.sha256 for one in wanted)
    asked = next(hashes, None)
    for folder in _entries(area):
        if not folder.is_dir(follow_symlinks=False):
            yield folder
            continue
        for file in _entries(folder.path):
            if file.is_dir(follow_symlinks=False) or file.name[:2] != folder.name:
                yield from files_below(file)
                continue
            while asked is not None and asked < file.name:
                asked = next(hashes, None)
            if asked != file.name:
                yield file


def files_below(place: os.DirEntry[str] | Path) -> Iterator[os.DirEntry[str]]:
    """All of them; of a file, itself."""
    if isinstance(place, os.DirEntry) and not place.is_dir(follow_symlinks=False):
        yield place
        return
    for entry in _entries(place):
        yield from files_below(entry)


def _entries(folder: os.DirEntry[str] | Path | str) -> list[os.DirEntry[str]]:
    """By name; none where nothing is there yet."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
