"""What hangs loose: rows without their files, files without a row, rows that refer to nothing.

Nothing in a service at rest does. Lines hold ids and hashes, never a file's name.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.file_store import FileStore
from models.images import wants_upload
from models.learning_tables import Fingerprint, ImportedImage, Label, SnapshotImage
from models.paging import ROWS_A_FETCH
from models.session import Sessions
from models.stored_files import Area, FileList, list_files
from models.tables import Image, ModelVersion, Prediction, State, Study, Upload
from models.uploads import MISSING

_READ = (State.READY, State.PREDICTED)


def find_orphans(sessions: Sessions, store: FileStore, *, age_s: float = 0.0) -> list[str]:
    """One line each. age_s: younger files are passed over, since work under way makes them.

    Without it the service must be at rest: a worker writes files before their rows.
    """
    # Files first: one whose row comes in between is then found to have it.
    files = list_files(store.root, before=time.time() - age_s)
    with sessions() as session:
        found = [*_files_without_rows(session, files), *_images_without_files(session, store)]
        return [*found, *_versions_without_folders(session, store), *_dangling_rows(session)]


def _files_without_rows(session: Session, files: FileList) -> Iterator[str]:
    wanted: dict[Area, set[str]] = {
        "incoming": _hashes(session, Image.sha256, wants_upload()),
        "stored": _hashes(session, Image.stored_sha256),
        "inputs": _hashes(session, Image.sha256, Image.stored_sha256.is_not(None))
        | _hashes(session, ImportedImage.sha256)
        | _hashes(session, SnapshotImage.sha256),
        "partial": _open_uploads(session),
        "temporary": set(),
    }
    for area, paths in files.items():
        for path in paths:
            if path.name not in wanted[area]:
                yield f"{area}/{path.name}: no row needs this file"


def _open_uploads(session: Session) -> set[str]:
    return {str(number) for number in session.scalars(select(Upload.id).where(*MISSING))}


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
            yield f"image {row.id} ({row.state}): its picture is gone"


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
        # Not by EXISTS: snapshots have no index on contents alone.
        return sha256.in_(select(ImportedImage.sha256)) | sha256.in_(select(SnapshotImage.sha256))

    label, fingerprint = Label.sha256.expression, Fingerprint.sha256.expression
    prediction = Prediction.sha256.expression
    answered = exists().where(Prediction.sha256 == Image.sha256)
    queries = {
        "study {}: it has no image": select(Study.id).where(
            ~exists().where(Image.study_id == Study.id)
        ),
        "prediction {}: no image has its content": select(Prediction.id).where(
            ~is_image(prediction)
        ),
        "label {}: nothing has its content": select(Label.id).where(
            ~is_image(label), ~is_learned(label)
        ),
        "fingerprint {}: nothing has its content": select(Fingerprint.sha256).where(
            ~is_image(fingerprint), ~is_learned(fingerprint)
        ),
        "image {} is predicted, but no version has answered": select(Image.id).where(
            Image.state == State.PREDICTED, ~answered
        ),
    }
    for line, query in queries.items():
        yield from (line.format(one) for one in session.scalars(query.order_by(None)))


def _hashes(
    session: Session, column: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]
) -> set[str]:
    rows = select(column).where(*conditions).execution_options(yield_per=ROWS_A_FETCH)
    return set(session.scalars(rows))
