"""Re-readings: earlier images read again with the version that is live; old predictions stay.

One row for each version and operating point. A cursor over the images' ids says up to where workers
have claimed them; while another version is live it waits, and goes on should its version come back.

A claim is a lease on images that have their answer. What a worker that died had claimed is claimed
anew at the end, once its lease has lapsed: each image alone, so that one that kills its worker
takes no other with it. `attempts` counts the claims of this re-reading that did not come back;
after several alone the image is given up (see `models.intake.claims`), and keeps the answer that it
has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, func, literal, select, update
from sqlalchemy.orm import Session, aliased

from models.base import now
from models.intake.claims import has_waiting
from models.learning.versions import production_version
from models.query import insert_new
from models.tables.intake import Image, Prediction, State
from models.tables.learning import Rereading
from pipeline.types import OperatingPoint


@dataclass(frozen=True)
class Chunk:
    """Contents that lack an answer, and the images of them that are the claim's."""

    claim_id: str
    rereading_id: int
    image_ids: tuple[int, ...]
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
    rows = session.scalars(select(Rereading).order_by(Rereading.id.desc())).all()
    return [_progress(session, row) for row in rows]


def claim_chunk(
    session: Session, rereading_id: int, *, limit: int, lease_s: float, max_attempts: int
) -> Chunk | None:
    """The next images. None where nothing is left to claim, or others hold it."""
    rereading = session.get_one(Rereading, rereading_id, with_for_update=True)
    rows = _pick(session, rereading, _after(rereading), limit=limit)
    rereading.after_image_id = rows[-1].id if len(rows) == limit else rereading.last_image_id
    attempts: ColumnElement[int] = literal(1)
    if not rows:
        is_left = _has_lapsed(), Image.attempts <= max_attempts
        rows = _pick(session, rereading, *is_left, order=Image.attempts.expression, limit=1)
        attempts = Image.attempts + 1
    if not rows:
        _finish_if_done(session, rereading)
        return None
    claim_id, ids = uuid4().hex, tuple(row.id for row in rows)
    until = now() + timedelta(seconds=lease_s)
    _lease(session, Image.id.in_(ids), by=claim_id, until=until, attempts=attempts)
    return Chunk(claim_id, rereading_id, ids, tuple(dict.fromkeys(row.sha256 for row in rows)))


def settle_chunk(session: Session, chunk: Chunk) -> None:
    """Its answers are recorded; what could not be read keeps the answer that it has."""
    rereading = session.get_one(Rereading, chunk.rereading_id, with_for_update=True)
    _let_go(session, Image.id.in_(chunk.image_ids), Image.leased_by == chunk.claim_id)
    _finish_if_done(session, rereading)


def give_up_exhausted(session: Session, *, max_attempts: int) -> int:
    """Images whose last permitted attempt has lapsed are not read again. Returns how many."""
    return _let_go(session, _has_lapsed(), Image.attempts > max_attempts)


def _finish_if_done(session: Session, rereading: Rereading) -> None:
    is_claimed = rereading.after_image_id >= rereading.last_image_id
    is_held = Image.leased_by.is_not(None)
    if is_claimed and not _pick(session, rereading, is_held, limit=1):
        rereading.finished_at = rereading.finished_at or now()
        # Of who died between its answers and its end.
        _let_go(session, is_held, *_within(rereading.last_image_id))


def _pick(
    session: Session,
    rereading: Rereading,
    *which: ColumnElement[bool],
    limit: int,
    order: ColumnElement[int] = Image.id.expression,
) -> Sequence[Row[int, str]]:
    """Images that lack an answer."""
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
        .where(*_within(rereading.last_image_id), *which, ~has_answer)
        .order_by(order, Image.id)
        .limit(limit)
    )
    return session.execute(missing).all()


def _let_go(session: Session, *which: ColumnElement[bool]) -> int:
    return _lease(session, *which, by=None, until=None, attempts=literal(0))


def _lease(
    session: Session,
    *which: ColumnElement[bool],
    by: str | None,
    until: datetime | None,
    attempts: ColumnElement[int],
) -> int:
    changed = session.execute(
        update(Image)
        .where(*which, Image.state == State.PREDICTED)
        .values(leased_by=by, leased_until=until, attempts=attempts)
        .execution_options(synchronize_session=False)
    )
    return changed.rowcount  # type: ignore[attr-defined, no-any-return]


def _progress(session: Session, rereading: Rereading) -> RereadingProgress:
    done = _count(session, rereading.after_image_id)
    return RereadingProgress(rereading, done, _count(session, rereading.last_image_id))


def _count(session: Session, last: int) -> int:
    return session.scalar(select(func.count()).select_from(Image).where(*_within(last))) or 0


def _within(last: int) -> tuple[ColumnElement[bool], ...]:
    return Image.state == State.PREDICTED, Image.id <= last


def _has_lapsed() -> ColumnElement[bool]:
    return Image.leased_until < now()


def _after(rereading: Rereading) -> ColumnElement[bool]:
    return Image.id > rereading.after_image_id


def _last_image_id(session: Session) -> int:
    return session.scalar(select(func.max(Image.id))) or 0
