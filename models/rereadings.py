"""Re-readings: earlier images read again with the version that is live; old predictions stay.

One row for each version and operating point. A cursor over the images' ids says how far it is.
While another version is live it waits, and goes on should its version come back.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, aliased

from models.base import now
from models.claims import has_waiting
from models.inserts import insert_new
from models.learning_tables import Rereading
from models.tables import Image, Prediction, State
from models.versions import production_version
from pipeline.types import OperatingPoint


@dataclass(frozen=True)
class Chunk:
    """Contents that lack an answer, and the image id up to which none else does."""

    rereading_id: int
    after_image_id: int
    upto_image_id: int
    sha256s: tuple[str, ...]


@dataclass(frozen=True)
class RereadingProgress:
    """Counts of images, also those that needed no second answer."""

    rereading: Rereading
    done: int
    total: int


def request_rereading(
    session: Session, *, model_version_id: int, operating_point: OperatingPoint, user_id: int
) -> Rereading:
    """The one that is under way already, where there is one. A finished one begins again:
    what it had read costs it no more than a look.
    """
    key = {"model_version_id": model_version_id, "operating_point": operating_point}
    asked = {"user_id": user_id, "last_image_id": _last_image_id(session), "created_at": now()}
    insert_new(session, Rereading, [key | asked | {"after_image_id": 0}])
    session.execute(
        update(Rereading)
        .filter_by(**key)
        .where(Rereading.finished_at.is_not(None))
        .values(**asked, after_image_id=0, finished_at=None)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(select(Rereading).filter_by(**key)).one()


def due_rereading(session: Session, *, operating_point: OperatingPoint) -> Rereading | None:
    """What is left to do with the version that is live; None while fresh images wait."""
    version = production_version(session)
    if version is None or has_waiting(session, State.READY):
        return None
    key = {"model_version_id": version.id, "operating_point": operating_point}
    wanted = select(Rereading).filter_by(**key).where(Rereading.finished_at.is_(None))
    return session.scalar(wanted)


def list_rereadings(session: Session) -> list[RereadingProgress]:
    """Newest first."""
    rows = session.scalars(select(Rereading).order_by(Rereading.created_at.desc())).all()
    return [_progress(session, row) for row in rows]


def next_chunk(session: Session, rereading: Rereading, *, limit: int) -> Chunk:
    """The next images' contents; once none is left, an empty chunk up to the last image."""
    known = aliased(Prediction)
    has_answer = (
        select(known.id)
        .where(
            known.sha256 == Image.sha256,
            known.model_version_id == rereading.model_version_id,
            known.operating_point == rereading.operating_point,
        )
        .exists()
    )
    missing = (
        select(Image.id, Image.sha256)
        .where(*_within(rereading.after_image_id, rereading.last_image_id), ~has_answer)
        .order_by(Image.id)
        .limit(limit)
    )
    rows = session.execute(missing).all()
    upto = rows[-1].id if len(rows) == limit else rereading.last_image_id
    hashes = tuple(dict.fromkeys(row.sha256 for row in rows))
    return Chunk(rereading.id, rereading.after_image_id, upto, hashes)


def advance(session: Session, chunk: Chunk) -> None:
    """The chunk is done. Changes nothing where another worker was faster."""
    mine = update(Rereading).where(
        Rereading.id == chunk.rereading_id, Rereading.after_image_id == chunk.after_image_id
    )
    options = {"synchronize_session": False}
    session.execute(mine.values(after_image_id=chunk.upto_image_id).execution_options(**options))
    ended = Rereading.id == chunk.rereading_id, Rereading.after_image_id >= Rereading.last_image_id
    session.execute(
        update(Rereading)
        .where(*ended, Rereading.finished_at.is_(None))
        .values(finished_at=now())
        .execution_options(**options)
    )


def _progress(session: Session, rereading: Rereading) -> RereadingProgress:
    done = _count(session, 0, rereading.after_image_id)
    return RereadingProgress(rereading, done, _count(session, 0, rereading.last_image_id))


def _count(session: Session, after: int, last: int) -> int:
    counted = select(func.count()).select_from(Image).where(*_within(after, last))
    return session.scalar(counted) or 0


def _within(after: int, last: int) -> tuple[ColumnElement[bool], ...]:
    return Image.state == State.PREDICTED, Image.id > after, Image.id <= last


def _last_image_id(session: Session) -> int:
    return session.scalar(select(func.max(Image.id))) or 0
