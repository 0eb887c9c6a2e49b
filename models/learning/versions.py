"""Model versions: their rows and their folders."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.query import insert_new
from models.tables.intake import ModelVersion
from pipeline.errors import NetworkFolderError
from pipeline.inference.version_folder import BASELINE, load_card, verify_checksums

NETWORKS = "networks"  # in the data folder; a folder for each version


class PromotionError(Exception):
    """A promotion or roll-back was refused; the message is one sentence for the user."""


def register_version(session: Session, *, folder: Path | None, data_dir: Path) -> ModelVersion:
    """Add the row of a finished version folder. folder None: the shipped network."""
    card = load_card(folder or BASELINE)
    relative = folder.absolute().relative_to(data_dir).as_posix() if folder else None
    row = {"name": card.model_version, "folder": relative, "card": dict(card.raw)}
    insert_new(session, ModelVersion, [row | {"created_at": now()}])
    return session.scalars(select(ModelVersion).filter_by(name=card.model_version)).one()


def find_version(session: Session, name: str) -> ModelVersion | None:
    return session.scalar(select(ModelVersion).where(ModelVersion.name == name))


def check_servable(version: ModelVersion, settings: Settings) -> None:
    """Raises PromotionError unless workers could serve it: its files are whole, and it has the
    operating point in use.
    """
    if version.folder is None and version.name != load_card(BASELINE).model_version:
        raise PromotionError(
            f"{version.name} was shipped with an earlier release, whose files are gone; "
            "promote another version instead"
        )
    folder = version_path(version, data_dir=settings.data_dir)
    try:
        verify_checksums(folder)
        points = load_card(folder).thresholds
    except NetworkFolderError as error:
        raise PromotionError(f"{version.name} cannot be read: {error}") from error
    if settings.operating_point not in points:
        raise PromotionError(
            f"{version.name} has no operating point {settings.operating_point}, "
            f"only {', '.join(points)}"
        )


def version_path(version: ModelVersion, *, data_dir: Path) -> Path:
    return BASELINE if version.folder is None else data_dir / version.folder
