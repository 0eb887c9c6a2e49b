"""Imported data sets, each image in one of them only, and fingerprints, each computed once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.learning.labels import NewLabel, add_labels
from models.query import batches, count_rows, insert_new
from models.tables.learning import Fingerprint, ImportedDataset, ImportedImage, LabelValue, Source
from pipeline.types import Split


@dataclass(frozen=True)
class NewImage:
    """file: its path within the data set; of several copies the first one's."""

    sha256: str
    file: str
    patient_hash: str
    study_hash: str | None
    split: Split
    value: LabelValue


@dataclass(frozen=True)
class ImportedFile:
    """A file of an imported data set."""

    dataset: str
    split: Split
    patient_hash: str
    study_hash: str | None


@dataclass(frozen=True)
class Added:
    """What an import added. labels: also of images that the set had; is_new_set: it had none."""

    images: int
    labels: int
    is_new_set: bool


def imported_files(session: Session, sha256s: Collection[str]) -> dict[str, ImportedFile]:
    """By SHA-256, those that a data set has."""
    found: dict[str, ImportedFile] = {}
    image = ImportedImage
    columns = (image.sha256, ImportedDataset.name, image.split, image.patient_hash)
    rows = (
        select(*columns, image.study_hash)
        .join(ImportedDataset, ImportedDataset.id == image.dataset_id)
        .order_by(ImportedDataset.id.desc())  # the first data set comes last, and counts
    )
    for some in batches(sorted(sha256s)):
        for row in session.execute(rows.where(image.sha256.in_(some))):
            file = ImportedFile(row.name, row.split, row.patient_hash, row.study_hash)
            found[row.sha256] = file
    return found


def add_dataset(
    session: Session,
    name: str,
    images: Sequence[NewImage],
    *,
    has_own_splits: bool,
    user_id: int,
    report: dict[str, Any],
) -> Added:
    """Add a data set with its images and labels, or what is new of them.

    An image that the set has already keeps its split; a label that differs supersedes the former.
    """
    row = {"name": name, "has_own_splits": has_own_splits, "user_id": user_id, "report": report}
    insert_new(session, ImportedDataset, [{**row, "created_at": now()}])
    dataset = session.scalars(select(ImportedDataset).filter_by(name=name)).one()
    of_set = ImportedImage.dataset_id == dataset.id
    before = count_rows(session, ImportedImage, of_set)
    columns = ("sha256", "file", "patient_hash", "study_hash", "split")
    for some in batches(images):
        rows = [{column: getattr(image, column) for column in columns} for image in some]
        insert_new(session, ImportedImage, [{"dataset_id": dataset.id, **row} for row in rows])
    labels = add_labels(session, [_label(image, dataset, user_id) for image in images])
    new = count_rows(session, ImportedImage, of_set) - before
    added = Added(new, labels, is_new_set=not before)
    if added.images or added.labels:
        dataset.report = report
    return added


def _label(image: NewImage, dataset: ImportedDataset, user_id: int) -> NewLabel:
    return NewLabel(
        sha256=image.sha256,
        value=image.value,
        reader=f"dataset {dataset.name}"[:80],
        role=None,
        user_id=user_id,
        source=Source.DATASET,
        dataset_id=dataset.id,
    )


def known_fingerprints(
    session: Session, sha256s: Collection[str], *, preprocessing: str
) -> dict[str, tuple[str, str]]:
    """input_sha256 and perceptual_hash by SHA-256, where known."""
    columns = (Fingerprint.sha256, Fingerprint.input_sha256, Fingerprint.perceptual_hash)
    of_now = select(*columns).where(Fingerprint.preprocessing == preprocessing)
    found: dict[str, tuple[str, str]] = {}
    for some in batches(sorted(sha256s)):
        for sha256, *hashes in session.execute(of_now.where(Fingerprint.sha256.in_(some))):
            found[sha256] = (hashes[0], hashes[1])
    return found


def add_fingerprints(
    session: Session, computed: Mapping[str, tuple[str, str]], *, preprocessing: str
) -> None:
    """As `known_fingerprints` returns them; existing ones stay."""
    names = ("sha256", "preprocessing", "input_sha256", "perceptual_hash")
    rows = [(sha256, preprocessing, *hashes) for sha256, hashes in sorted(computed.items())]
    insert_new(session, Fingerprint, [dict(zip(names, row, strict=True)) for row in rows])
