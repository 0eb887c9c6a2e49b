"""Deployments: the periods in which a model version was in production; lists of versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.learning.promotion import PRODUCTION
from models.query import Page, read_page
from models.tables.intake import ModelAlias, ModelVersion, Move
from models.tables.learning import Night
from models.tables.people import User


@dataclass(frozen=True)
class Deployment:
    """A period in production. until: None while it lasts. by: None where no user decided."""

    version: str
    since: datetime
    until: datetime | None
    by: str | None
    move: Move
    reason: str


@dataclass(frozen=True)
class ListedVersion:
    """deployments: newest first; none if it never was live. night: the one that trained it."""

    version: ModelVersion
    deployments: tuple[Deployment, ...]
    night: Night | None

    @property
    def is_live(self) -> bool:
        return bool(self.deployments) and self.deployments[0].until is None


def list_deployments(session: Session) -> list[Deployment]:
    """Newest first."""
    rows = session.execute(
        select(ModelAlias, ModelVersion.name, User.name)
        .join(ModelVersion, ModelVersion.id == ModelAlias.model_version_id)
        .outerjoin(User, User.id == ModelAlias.user_id)
        .where(ModelAlias.name == PRODUCTION)
        .order_by(ModelAlias.id.desc())
    ).all()
    ends: list[datetime | None] = [None, *(entry.created_at for entry, _, _ in rows)]
    return [
        Deployment(version, entry.created_at, until, by, entry.move, entry.reason)
        for (entry, version, by), until in zip(rows, ends, strict=False)
    ]


def list_versions(session: Session, *, page: int = 1, page_size: int = 50) -> Page[ListedVersion]:
    """Newest first."""
    newest = select(ModelVersion).order_by(ModelVersion.id.desc())
    versions = read_page(session, newest, page=page, page_size=page_size)
    return versions.of(_listed(session, versions.items))


def listed_version(session: Session, version: ModelVersion) -> ListedVersion:
    return _listed(session, [version])[0]


def _listed(session: Session, versions: Sequence[ModelVersion]) -> list[ListedVersion]:
    deployments, ids = list_deployments(session), [version.id for version in versions]
    made = select(Night).where(Night.candidate_id.in_(ids)).order_by(Night.id)
    nights = {night.candidate_id: night for night in session.scalars(made)}
    return [
        ListedVersion(
            version,
            tuple(one for one in deployments if one.version == version.name),
            nights.get(version.id),
        )
        for version in versions
    ]
