"""What a study is called, and where stored bytes can be viewed."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables.intake import Image, Study


@dataclass(frozen=True)
class StudyLink:
    """Where stored bytes can be viewed: their first image that belongs to a study."""

    image_id: int
    study_id: int
    study: str


def find_study_links(session: Session, sha256s: Collection[str]) -> dict[str, StudyLink]:
    rows = (
        select(Image.sha256, Image.id, Study.id, Study.study_hash, Study.folder)
        .join(Study, Study.id == Image.study_id)
        .where(Image.sha256.in_(sha256s))
        .order_by(Image.id.desc())  # the first image overwrites later ones
    )
    return {
        sha256: StudyLink(image_id, study_id, study_label(study_hash, folder))
        for sha256, image_id, study_id, study_hash, folder in session.execute(rows)
    }


def study_label(study_hash: str, folder: str | None) -> str:
    """For people: the folder's name, or the beginning of the hash where the file named none."""
    return folder if folder else f"Study {study_hash[:8]}"
