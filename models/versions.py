"""Model versions, and the history of which was live when."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.tables import ModelAlias, ModelVersion
from pipeline.version_folder import BASELINE, load_card

PRODUCTION = "production"


def register_version(session: Session, *, folder: Path | None, data_dir: Path) -> ModelVersion:
    """A finished version folder becomes a row; not live. folder None: the shipped network."""
    card = load_card(folder or BASELINE)
    relative = folder.absolute().relative_to(data_dir).as_posix() if folder else None
    known = find_version(session, card.model_version)
    if known is not None:
        return known
    version = ModelVersion(name=card.model_version, folder=relative, card=dict(card.raw))
    session.add(version)
    session.flush()
    return version


def find_version(session: Session, name: str) -> ModelVersion | None:
    return session.scalar(select(ModelVersion).where(ModelVersion.name == name))


def list_versions(session: Session) -> list[ModelVersion]:
    return list(session.scalars(select(ModelVersion).order_by(ModelVersion.id.desc())))


def production_version(session: Session) -> ModelVersion | None:
    newest = (
        select(ModelAlias.model_version_id)
        .where(ModelAlias.name == PRODUCTION)
        .order_by(ModelAlias.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return session.scalar(select(ModelVersion).where(ModelVersion.id == newest))


def production_history(session: Session) -> list[ModelAlias]:
    """Newest first; a version was live from its row's `created_at` to the next row's."""
    rows = select(ModelAlias).where(ModelAlias.name == PRODUCTION).order_by(ModelAlias.id.desc())
    return list(session.scalars(rows))


def set_production(
    session: Session, version: ModelVersion, *, reason: str, user_id: int | None = None
) -> None:
    """Adds to the history. Workers see it at their next chunk."""
    session.add(
        ModelAlias(name=PRODUCTION, model_version_id=version.id, user_id=user_id, reason=reason)
    )
    session.flush()


def version_path(version: ModelVersion, *, data_dir: Path) -> Path:
    return BASELINE if version.folder is None else data_dir / version.folder


def install_baseline(session: Session, *, data_dir: Path) -> None:
    """The shipped network goes live where nothing ever did, and where one that shipped before is:
    that one's files went with its release. Its row and its predictions stay.
    """
    version = register_version(session, folder=None, data_dir=data_dir)
    live = production_version(session)
    if live is None:
        set_production(session, version, reason="ships with the project")
    elif live.folder is None and live.id != version.id:
        set_production(session, version, reason=f"replaces {live.name}, which shipped before")
