"""Retries: which images may be retried, and setting them back to a waiting state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from models.lease import NO_LEASE
from models.query import update_rows
from models.tables.intake import UNFINISHED_STATES, Image, Prediction, State
from pipeline.types import OperatingPoint

WhichImages = Literal["failed", "all"]

RETRIED_BY_ALL = (State.PREDICTED, State.REJECTED)


@dataclass(frozen=True)
class Ended:
    id: int
    sha256: str
    stored_sha256: str | None
    state: State


def ended_images(
    session: Session,
    job_id: str,
    *,
    which: WhichImages,
    version_id: int | None,
    operating_point: OperatingPoint,
    after: int,
    limit: int,
) -> list[Ended]:
    """By id, those after `after`.

    which="all": also refused images, and those without a prediction of this version at this point.
    """
    rows = (
        select(Image.id, Image.sha256, Image.stored_sha256, Image.state)
        .where(Image.job_id == job_id, Image.id > after)
        .where(_may_be_retried(which, version_id, operating_point))
        .order_by(Image.id)
        .limit(limit)
    )
    return [Ended(*row) for row in session.execute(rows)]


def take_up(session: Session, image_ids: Sequence[int], *, state: State) -> int:
    """Make images wait in this state, as if they were new. Returns how many."""
    which = (Image.id.in_(image_ids), Image.state.in_(UNFINISHED_STATES + RETRIED_BY_ALL))
    start = {"state": state, "reason": None, "reason_code": None, "finished_at": None}
    return update_rows(session, Image, *which, attempts=0, **start, **NO_LEASE)


def _may_be_retried(
    which: WhichImages, version_id: int | None, operating_point: OperatingPoint
) -> ColumnElement[bool]:
    unfinished = Image.state.in_(UNFINISHED_STATES)
    if which == "failed":
        return unfinished
    read_by_it = exists().where(
        Prediction.sha256 == Image.sha256,
        Prediction.model_version_id == version_id,
        Prediction.operating_point == operating_point,
    )
    unread = and_(Image.state == State.PREDICTED, ~read_by_it)
    return or_(unfinished, Image.state == State.REJECTED, unread)
