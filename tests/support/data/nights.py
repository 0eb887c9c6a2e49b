"""Nights and the versions that they trained."""

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.learning.promotion import production_version
from models.learning.versions import find_version, register_version
from models.tables.intake import ModelVersion
from models.tables.learning import DatasetSnapshot, Night, Outcome
from tests.support.data.rows import a_hash
from tests.support.data.versions import make_version

SAID = {
    Outcome.NOTHING: "only 3 new labels came, 20 are needed",
    Outcome.REFUSED: "refused: on the site's test images it may be worse by more than 0.020",
    Outcome.PROPOSED: "better on the site's test images, not worse anywhere",
    Outcome.PROMOTED: "better on the site's test images, not worse anywhere",
    Outcome.FAILED: "it stopped its worker 3 times",
    Outcome.CANCELLED: "cancelled",
}


def a_night(
    session: Session,
    outcome: Outcome | None = Outcome.NOTHING,
    *,
    candidate: ModelVersion | None = None,
    **values: Any,
) -> Night:
    """outcome None: still open. It was compared with the current production version."""
    night = Night(
        outcome=outcome,
        stage="done" if outcome else "evaluation",
        reason=SAID[outcome] if outcome else None,
        started_at=now(),
        finished_at=now() if outcome else None,
        new_labels=3,
        candidate=candidate,
        production=production_version(session),
    )
    for name, value in values.items():
        setattr(night, name, value)
    session.add(night)
    session.flush()
    if outcome:  # a None that is there from the start is overruled by the column's default
        night.is_open = None
        session.flush()
    return night


def a_snapshot(session: Session, **report: Any) -> DatasetSnapshot:
    snapshot = DatasetSnapshot(digest=a_hash(repr(report)), report=report)
    session.add(snapshot)
    session.flush()
    return snapshot


def a_trained_version(
    session: Session, settings: Settings, name: str = "night-1", **card: Any
) -> ModelVersion:
    """With its own, complete folder."""
    folder: Path = settings.data_dir / "networks" / name
    if not folder.exists():
        make_version(folder, **card)
    return find_version(session, name) or register_version(
        session, folder=folder, data_dir=settings.data_dir
    )
