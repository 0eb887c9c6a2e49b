"""Which files the rows need, as paths within the data folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.file_store import FileStore
from models.learning_tables import ImportedImage, SnapshotImage
from models.paging import ROWS_A_FETCH
from models.settings import Settings
from models.tables import UNFINISHED_STATES, Image, ModelVersion, State

_HAVE_INPUT = (State.READY, State.PREDICTED)


@dataclass(frozen=True)
class NeededFiles:
    """found: sorted. missing: how many the rows need that are not there."""

    found: list[str]
    missing: int


def needed_files(session: Session, settings: Settings) -> NeededFiles:
    """Of all that the session sees; partial uploads are not among them."""
    search = _Search(settings)
    awaited, read = set(), set()
    for row in session.execute(_IMAGES.execution_options(yield_per=ROWS_A_FETCH)):
        if row.stored_sha256 is not None:
            read.add(row.sha256)
            search.inputs(row.sha256, must=row.state in _HAVE_INPUT)
            search.file("stored", row.stored_sha256, must=row.state in _HAVE_INPUT)
        elif row.state in UNFINISHED_STATES and row.sha256:
            search.file("incoming", row.sha256, must=False)
        if row.state == State.RECEIVED:
            awaited.add(row.sha256)
    for sha256 in awaited:
        search.file("incoming", sha256, must=sha256 not in read)
    for column in (ImportedImage.sha256, SnapshotImage.sha256):
        for sha256 in session.scalars(select(column).execution_options(yield_per=ROWS_A_FETCH)):
            search.inputs(sha256, must=True)
    for folder in session.scalars(select(ModelVersion.folder)):
        if folder is not None:
            search.folder(folder)
    return NeededFiles(sorted(search.found), len(search.missing))


_IMAGES = select(Image.sha256, Image.state, Image.stored_sha256)


class _Search:
    def __init__(self, settings: Settings) -> None:
        self._data_dir, self._store = settings.data_dir, FileStore(settings.files_dir)
        self._preprocessings = self._store.preprocessings()
        self.found: set[str] = set()
        self.missing: set[str] = set()

    def file(self, area: str, sha256: str, *, must: bool) -> None:
        path = self._store.root / area / sha256[:2] / sha256
        self._take([path], must=must, what=f"{area}/{sha256}")

    def inputs(self, sha256: str, *, must: bool) -> None:
        """Of every preprocessing that there was."""
        root = self._store.root / "inputs"
        paths = (root / one / sha256[:2] / sha256 for one in self._preprocessings)
        self._take(paths, must=must, what=f"inputs/{sha256}")

    def folder(self, folder: str) -> None:
        inside = (self._data_dir / folder).rglob("*")
        self._take((path for path in inside if path.is_file()), must=True, what=folder)

    def _take(self, paths: Iterable[Path], *, must: bool, what: str) -> None:
        there = [self._relative(path) for path in paths if path.exists()]
        self.found.update(there)
        if must and not there:
            self.missing.add(what)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._data_dir).as_posix()
