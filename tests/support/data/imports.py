"""Labelled folders to import, and what is in the database afterwards."""

from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import func, select

from models.context import AppContext
from models.tables.learning import ImportedDataset, ImportedImage, Label
from models.tables.people import Role
from pipeline.training.labelled.dataset import open_dataset
from tests.support.data.rows import a_user, with_settings
from worker.datasets.import_dataset import DatasetImport, ImportEvents
from worker.datasets.report import ImportReport

NO_EVENTS = ImportEvents()


def write(path: Path, *, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def write_public_set(folder: Path) -> Path:
    """One image of each split and label, each of its own patient."""
    seed = 0
    for split in ("train", "val", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            write(folder / split / label / f"person{seed}_virus_{seed}.png", seed=seed)
            seed += 1
    return folder


def run(
    folder: Path, context: AppContext, *, name: str = "public", events: ImportEvents = NO_EVENTS
) -> ImportReport:
    small = with_settings(context, decode_processes=1)
    with context.sessions.begin() as session:
        user_id = a_user(session, role=Role.ADMIN).id
    return DatasetImport(small, open_dataset(folder), name, events).run(user_id)


def rows(context: AppContext) -> dict[str, ImportedImage]:
    with context.sessions() as session:
        return {row.file: row for row in session.scalars(select(ImportedImage))}


def report(context: AppContext, name: str = "public") -> dict[str, object]:
    with context.sessions() as session:
        found = session.scalars(select(ImportedDataset).filter_by(name=name)).one()
        return found.report


def count(context: AppContext, table: type[ImportedImage] | type[Label]) -> int:
    with context.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0
