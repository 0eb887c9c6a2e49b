"""Re-readings: earlier images predicted again with the production version; old predictions stay.

One row for each version and operating point. A cursor over the images' ids says up to where workers
have claimed them. While another version is in production the re-reading waits.

A claim is a lease (`models.lease`) on predicted images. Those whose claim has lapsed are claimed
again at the end, each alone, so that one that kills its worker takes no other with it. After
`max_attempts` lost claims alone the image is given up, and keeps its earlier prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, func, literal, select
from sqlalchemy.orm import Session, aliased

from models.base import now
from models.config.settings import Settings
from models.intake.claims import has_waiting
from models.learning.promotion import production_version
from models.lease import NO_LEASE, claim_rows, has_lapsed
from models.query import count_rows, insert_new, update_rows
from models.tables.intake import WAITING_STATES, Image, Prediction, State
from models.tables.learning import Rereading
from pipeline.types import OperatingPoint


@dataclass(frozen=True)
class Chunk:
    """Claimed images without a prediction, and their SHA-256s."""

    claim_id: str
    rereading_id: int
    image_ids: tuple[int, ...]
    sha256s: tuple[str, ...]


@dataclass(frozen=True)
class RereadingProgress:
    """Counts of images, including those that were predicted already."""

    rereading: Rereading
    done: int
    total: int


def request_rereading(
    session: Session, *, model_version_id: int, operating_point: OperatingPoint, user_id: int
) -> Rereading:
    """The open one if there is one. A finished one starts again, skipping what it has predicted."""
    key = {"model_version_id": model_version_id, "operating_point": operating_point}
    last = session.scalar(select(func.max(Image.id)))
    asked = {"user_id": user_id, "last_image_id": last or 0, "created_at": now()}
    insert_new(session, Rereading, [key | asked | {"after_image_id": 0}])
    row = session.scalars(select(Rereading).filter_by(**key)).one()
    update_rows(
        session,
        Rereading,
        *(Rereading.id == row.id, Rereading.finished_at.is_not(None)),
        **asked,
        after_image_id=0,
        finished_at=None,
    )
    session.refresh(row)
    return row


def due_rereading(
    session: Session, *, operating_point: OperatingPoint, lease_s: float
) -> Rereading | None:
    """The open re-reading of the production version; None while new images wait."""
    version = production_version(session)
    if version is None or any(has_waiting(session, s, lease_s=lease_s) for s in WAITING_STATES):
        return None
    key = {"model_version_id": version.id, "operating_point": operating_point}
    wanted = select(Rereading).filter_by(**key).where(Rereading.finished_at.is_(None))
    return session.scalar(wanted)


def list_rereadings(session: Session) -> list[RereadingProgress]:
    """Newest first."""
    rows = session.scalars(select(Rereading).order_by(Rereading.id.desc())).all()
    return [_progress(session, row) for row in rows]


def claim_chunk(session: Session, rereading_id: int, settings: Settings) -> Chunk | None:
    """The next images. None if nothing is left to claim, or others hold it."""
    limit = settings.chunk_size
    rereading = session.get_one(Rereading, rereading_id, with_for_update=True)
    rows = _pick(session, rereading, Image.id > rereading.after_image_id, limit=limit)
    rereading.after_image_id = rows[-1].id if len(rows) == limit else rereading.last_image_id
    attempts: ColumnElement[int] = literal(1)
    if not rows:
        has_ended = has_lapsed(Image, lease_s=settings.lease_s)
        is_left = (has_ended, Image.attempts <= settings.max_attempts)
        rows = _pick(session, rereading, *is_left, order=Image.attempts.expression, limit=1)
        attempts = Image.attempts + 1
    if not rows:
        _finish_if_done(session, rereading)
        return None
    ids = tuple(row.id for row in rows)
    which = (Image.id.in_(ids), Image.state == State.PREDICTED)
    holder, _ = claim_rows(
        session, Image, *which, lease_s=settings.lease_s, returning=[Image.id], attempts=attempts
    )
    return Chunk(holder, rereading_id, ids, tuple(dict.fromkeys(row.sha256 for row in rows)))


def settle_chunk(session: Session, chunk: Chunk) -> None:
    """Its predictions are recorded; images that failed keep their earlier one."""
    rereading = session.get_one(Rereading, chunk.rereading_id, with_for_update=True)
    _release(session, Image.id.in_(chunk.image_ids), Image.leased_by == chunk.claim_id)
    _finish_if_done(session, rereading)


def give_back_chunk(session: Session, chunk: Chunk, *, count_attempt: bool) -> None:
    """As if its lease had lapsed: the cursor has passed its images, which come last, each alone."""
    update_rows(
        session,
        Image,
        *(Image.id.in_(chunk.image_ids), Image.leased_by == chunk.claim_id),
        attempts=Image.attempts if count_attempt else Image.attempts - 1,
        leased_until=now(),
    )


def give_up_exhausted(session: Session, *, max_attempts: int, lease_s: float) -> int:
    """Images whose last attempt has lapsed are not predicted again. Returns how many."""
    return _release(session, has_lapsed(Image, lease_s=lease_s), Image.attempts > max_attempts)


def _finish_if_done(session: Session, rereading: Rereading) -> None:
    is_claimed = rereading.after_image_id >= rereading.last_image_id
    is_held = Image.leased_by.is_not(None)
    if is_claimed and not _pick(session, rereading, is_held, limit=1):
        rereading.finished_at = rereading.finished_at or now()
        # Left by workers that died after recording their predictions.
        _release(session, is_held, *_within(rereading.last_image_id))


def _pick(
    session: Session,
    rereading: Rereading,
    *which: ColumnElement[bool],
    limit: int,
    order: ColumnElement[int] = Image.id.expression,
) -> Sequence[Row[int, str]]:
    """Images without a prediction."""
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


def _release(session: Session, *which: ColumnElement[bool]) -> int:
    which = (*which, Image.state == State.PREDICTED)
    return update_rows(session, Image, *which, attempts=0, **NO_LEASE)


def _progress(session: Session, rereading: Rereading) -> RereadingProgress:
    done = _count(session, rereading.after_image_id)
    return RereadingProgress(rereading, done, _count(session, rereading.last_image_id))


def _count(session: Session, last: int) -> int:
    return count_rows(session, Image, *_within(last))


def _within(last: int) -> tuple[ColumnElement[bool], ...]:
    return Image.state == State.PREDICTED, Image.id <= last
