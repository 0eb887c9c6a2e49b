"""Labelled images as ingest and imports leave them, for tests of snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.context import AppContext
from models.learning.labels import NewLabel, add_labels
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import State
from models.tables.learning import ImportedDataset, ImportedImage, Label, LabelValue, Source
from models.tables.people import Role
from pipeline.training.data.splits import assign_split
from pipeline.types import PREPROCESSING, Split
from tests.support.data.rows import a_hash, a_job, a_user, an_image

PNEUMONIA, NORMAL, UNUSABLE = LabelValue.PNEUMONIA, LabelValue.NORMAL, LabelValue.UNUSABLE


@dataclass
class Archive:
    """Adds labelled images; each shows different noise unless `pixels` is given."""

    context: AppContext
    number: int = 0

    def site_image(
        self,
        *,
        value: LabelValue | None = NORMAL,
        patient: str | None = "",
        study: str | None = None,
        folder: str | None = None,
        file: str = "",
        pixels: NDArray[np.uint8] | None = None,
    ) -> str:
        """Return its sha256. patient None: DICOM without patient; folder: not DICOM."""
        self.number += 1
        patient_hash = a_hash(patient or f"patient {self.number}") if patient is not None else None
        study_hash = a_hash(study or f"study {self.number}")
        with self.context.sessions.begin() as session:
            new = NewStudy(study_hash, patient_hash, folder)
            row = an_image(session, a_job(session), file=file, content=f"content {self.number}")
            row.study_id = get_or_create_studies(session, [new])[study_hash]
            row.state, row.stored_sha256 = State.READY, a_hash(f"stored {self.number}")
            sha256 = row.sha256
        self.store(sha256, pixels)
        if value is not None:
            self.label(sha256, value)
        return sha256

    def imported_set(
        self, name: str, images: Sequence[tuple[Split, str, LabelValue]], **known: Any
    ) -> list[str]:
        """images: split, patient, label. Return their sha256s."""
        rows = []
        for split, patient, _ in images:
            self.number += 1
            sha256 = a_hash(f"imported {name} {self.number}")
            row = {"sha256": sha256, "file": f"{self.number}.png", "split": split}
            rows.append(row | {"patient_hash": a_hash(patient)} | known)
            self.store(sha256, None)
        made = [str(row["sha256"]) for row in rows]
        with self.context.sessions.begin() as session:
            dataset_id = a_dataset(session, name, *rows).id
            source = {"role": None, "dataset_id": dataset_id, "reader": f"dataset {name}"}
            labels = [
                self.new_label(session, sha256, value, **source)
                for sha256, (*_, value) in zip(made, images, strict=True)
            ]
            add_labels(session, labels)
        return made

    def label(
        self, sha256: str, value: LabelValue, *, reader: str = "rita", **further: Any
    ) -> None:
        with self.context.sessions.begin() as session:
            add_labels(session, [self.new_label(session, sha256, value, reader=reader, **further)])

    def new_label(
        self, session: Session, sha256: str, value: LabelValue, **further: Any
    ) -> NewLabel:
        usual = {"role": Role.READER, "source": Source.PORTAL, "user_id": a_user(session).id}
        return NewLabel(sha256=sha256, value=value, **{**usual, **further})

    def store(self, sha256: str, pixels: NDArray[np.uint8] | None) -> None:
        seed = int(sha256[:8], 16)
        if pixels is None:
            pixels = np.random.default_rng(seed).integers(0, 256, (224, 224), np.uint8)
        self.context.store.put_network_input(sha256, PREPROCESSING, pixels)


def a_dataset(session: Session, name: str, *images: dict[str, Any]) -> ImportedDataset:
    """images: columns of each, at least its SHA-256."""
    user_id = a_user(session).id
    dataset = ImportedDataset(name=name, has_own_splits=True, user_id=user_id, report={})
    session.add(dataset)
    session.flush()
    usual = {"dataset_id": dataset.id, "file": "f", "patient_hash": "p", "split": Split.TRAIN}
    session.add_all(ImportedImage(**usual | one) for one in images)
    session.flush()
    return dataset


def patient_of_split(split: Split, *, number: int = 0) -> str:
    """Return the name of a patient whose hash falls into this split."""
    return [name for n in range(200) if assign_split(a_hash(name := f"p{n}")) == split][number]


def labels_of(session: Session, sha256: str) -> list[Label]:
    """All labels of a blob, the latest first."""
    rows = select(Label).where(Label.sha256 == sha256)
    return list(session.scalars(rows.order_by(Label.read_at.desc(), Label.id.desc())))
