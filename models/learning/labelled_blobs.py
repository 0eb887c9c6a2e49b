"""Labelled blobs (files' bytes, by SHA-256) with all that the database knows of their origin."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models.learning.datasets import ImportedFile, imported_files
from models.learning.labels import valid_labels
from models.tables.intake import Image, Study
from models.tables.learning import Label, ValidLabel


@dataclass(frozen=True)
class SiteFile:
    """An uploaded file. name: without its folder; may hold a patient's name.

    study_hash: of the folder where no DICOM attribute states the study.
    """

    name: str
    patient_hash: str | None
    study_hash: str
    is_dicom_study: bool


@dataclass(frozen=True)
class LabelledBlob:
    """A blob with its valid label; at least one of `site` and `imported` is known."""

    label: ValidLabel
    site: tuple[SiteFile, ...]  # the same bytes may be in several jobs
    imported: ImportedFile | None


def use_repeatable_read(session: Session) -> None:
    """Make all reads of the session consistent; call it first. SQLite's are anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def labelled_blobs(session: Session) -> list[LabelledBlob]:
    """Return all whose file was read here, sorted by SHA-256."""
    labels = valid_labels(session)
    site, imported = _site_files(session), imported_files(session, labels)
    return [
        LabelledBlob(label, tuple(site.get(sha256, ())), imported.get(sha256))
        for sha256, label in sorted(labels.items())
        if sha256 in site or sha256 in imported
    ]


def _site_files(session: Session) -> dict[str, list[SiteFile]]:
    rows = (
        select(Image.sha256, Image.file, Study.patient_hash, Study.study_hash, Study.folder)
        .join(Study, Study.id == Image.study_id)
        .where(Image.stored_sha256.is_not(None), Image.sha256.in_(select(Label.sha256)))
        .order_by(Image.id)
    )
    files: dict[str, list[SiteFile]] = {}
    for row in session.execute(rows):
        name, is_dicom_study = PurePosixPath(row.file).name, row.folder is None
        file = SiteFile(name, row.patient_hash, row.study_hash, is_dicom_study)
        files.setdefault(row.sha256, []).append(file)
    return files
