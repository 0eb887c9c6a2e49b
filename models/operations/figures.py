"""Figures for the metrics, each answered from an index, however many rows there are."""

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.base import now
from models.tables.intake import WAITING_STATES, Image, State
from models.tables.learning import Night

LATENCY_WINDOW = timedelta(minutes=15)
LATENCY_SAMPLE = 1000  # the newest of the window
QUANTILES = (0.5, 0.9, 0.99)


def images_by_state(session: Session) -> tuple[dict[State, int], dict[State, datetime | None]]:
    """Counts, and when the oldest waiting image came, if any.

    The lowest id counts as the oldest: finding the earliest time would read every row.
    """
    rows = session.execute(
        select(Image.state, func.count(), func.min(Image.id)).group_by(Image.state)
    ).all()
    counts = {state: count for state, count, _ in rows}
    first = {image_id: state for state, _, image_id in rows if state in WAITING_STATES}
    oldest = select(Image.id, Image.created_at).where(Image.id.in_(first))
    came = {first[image_id]: moment for image_id, moment in session.execute(oldest)}
    images = {state: counts.get(state, 0) for state in State}
    return images, {state: came.get(state) for state in WAITING_STATES}


def latency_quantiles(session: Session) -> dict[float, float]:
    """Seconds from arrival to prediction, of the newest in the window; empty if there are none.

    By nearest rank: the smallest value that this share of all does not exceed.
    """
    recent = (
        select(Image.state, Image.created_at, Image.finished_at)
        .where(Image.finished_at >= now() - LATENCY_WINDOW)
        .order_by(Image.finished_at.desc())
        .limit(LATENCY_SAMPLE)
    )
    took_s = [
        (finished - came).total_seconds()
        for state, came, finished in session.execute(recent)
        if finished is not None and state == State.PREDICTED
    ]
    if not took_s:
        return {}
    return dict(zip(QUANTILES, np.quantile(took_s, QUANTILES, method="inverted_cdf"), strict=True))


def images_by_reason(session: Session) -> dict[tuple[State, str | None], int]:
    rows = session.execute(
        select(Image.state, Image.reason_code, func.count())
        .where(Image.state.in_((State.REJECTED, State.FAILED)))
        .group_by(Image.state, Image.reason_code)
    )
    return {(state, code): count for state, code, count in rows}


def nights_by_outcome(session: Session) -> dict[str, int]:
    rows = session.execute(
        select(Night.outcome, func.count())
        .where(Night.outcome.is_not(None))
        .group_by(Night.outcome)
    )
    return {outcome.value: count for outcome, count in rows if outcome is not None}
