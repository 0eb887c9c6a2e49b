"""Orphans: rows without their files, files without a row, rows that refer to nothing.

A service at rest has none. Lines hold ids and hashes, never a file's name.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from models.files.partial import PartialFiles
from models.files.pictures import pictures_without_stored_file
from models.files.references import files_below, unneeded
from models.files.store import Area, FileStore
from models.intake.uploads import missing_uploads
from models.query import ROWS_A_FETCH
from models.session import Sessions
from models.tables.intake import Image, ModelVersion, Prediction, State, Study
from models.tables.learning import Fingerprint, ImportedImage, Label, SnapshotImage

MOST = 10_000  # where a disk is not there, every row lacks its files
_READ = (State.READY, State.PREDICTED)


def find_orphans(sessions: Sessions, store: FileStore, *, age_s: float = 0.0) -> list[str]:
    """One line each, the first `MOST`.

    age_s: younger files are left out. Workers write files before their rows, so with 0 the
    service must be at rest.
    """
    before = time.time() - age_s
    with sessions() as session:
        found = chain(
            _files_without_rows(session, store, before),
            _images_without_files(session, store),
            _versions_without_folders(session, store),
            _dangling_rows(session),
        )
        return list(islice(found, MOST))


def _files_without_rows(session: Session, store: FileStore, before: float) -> Iterator[str]:
    areas: tuple[Area, ...] = ("incoming", "stored", "inputs")
    for area in areas:
        for file in unneeded(session, store, area):
            yield from _line(area, file, before)
    partial = {str(one): one for one in PartialFiles(store).all()}
    expected = missing_uploads(session, list(partial.values()))
    for name in ("partial", "temporary"):
        for file in files_below(store.root / name):
            if name == "temporary" or partial.get(file.name) not in expected:
                yield from _line(name, file, before)
    for picture in pictures_without_stored_file(store):
        yield from _line("pictures", picture, before)


def _line(area: str, file: os.DirEntry[str] | Path, before: float) -> Iterator[str]:
    with suppress(FileNotFoundError):  # deleted since it was listed
        if file.stat(follow_symlinks=False).st_mtime <= before:
            yield f"{area}/{file.name}: no row needs this file"


def _images_without_files(session: Session, store: FileStore) -> Iterator[str]:
    preprocessings = store.preprocessings()
    columns = (Image.id, Image.state, Image.sha256, Image.stored_sha256)
    rows = select(*columns).where(Image.state.in_((State.RECEIVED, *_READ)))
    for row in session.execute(rows.execution_options(yield_per=ROWS_A_FETCH)):
        has_input = any(store.has_network_input(row.sha256, one) for one in preprocessings)
        if row.state == State.RECEIVED:
            if not has_input and not store.exists(row.sha256, area="incoming"):
                yield f"image {row.id} ({row.state}): its upload is gone"
            continue
        if not has_input:
            yield f"image {row.id} ({row.state}): its network input is gone"
        if row.stored_sha256 is None or not store.exists(row.stored_sha256):
            yield f"image {row.id} ({row.state}): its stored file is gone"


def _versions_without_folders(session: Session, store: FileStore) -> Iterator[str]:
    data_dir: Path = store.root.parent
    rows = select(ModelVersion.name, ModelVersion.folder).where(ModelVersion.folder.is_not(None))
    for name, folder in session.execute(rows):
        if not (data_dir / str(folder)).is_dir():
            yield f"model version {name}: its folder is gone"


def _dangling_rows(session: Session) -> Iterator[str]:
    def is_image(sha256: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(Image.sha256 == sha256)

    def is_learned(sha256: ColumnElement[str]) -> ColumnElement[bool]:
        # Not by EXISTS: snapshots have no index on the hash alone.
        return sha256.in_(select(ImportedImage.sha256)) | sha256.in_(select(SnapshotImage.sha256))

    label, fingerprint = Label.sha256.expression, Fingerprint.sha256.expression
    prediction = Prediction.sha256.expression
    answered = exists().where(Prediction.sha256 == Image.sha256)
    queries = {
        "study {}: it has no image": select(Study.id).where(
            ~exists().where(Image.study_id == Study.id)
        ),
        "prediction {}: no image has its hash": select(Prediction.id).where(~is_image(prediction)),
        "label {}: no image has its hash": select(Label.id).where(
            ~is_image(label), ~is_learned(label)
        ),
        "fingerprint {}: no image has its hash": select(Fingerprint.sha256).where(
            ~is_image(fingerprint), ~is_learned(fingerprint)
        ),
        "image {}: it is predicted, but has no prediction": select(Image.id).where(
            Image.state == State.PREDICTED, ~answered
        ),
    }
    for line, query in queries.items():
        rows = session.scalars(query.execution_options(yield_per=ROWS_A_FETCH))
        yield from (line.format(one) for one in rows)
