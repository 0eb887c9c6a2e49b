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


def oldest_waiting(session: Session) -> dict[State, datetime | None]:
    """When the oldest waiting image in each state came, if any.

    The lowest id counts as the oldest: finding the earliest time would read every row.
    """
    came: dict[State, datetime | None] = {}
    for state in WAITING_STATES:
        # Those that were tried before are few. By their number of attempts an index has the others.
        first = [
            session.scalar(select(func.min(Image.id)).where(Image.state == state, which))
            for which in (Image.attempts == 0, Image.attempts > 0)
        ]
        oldest = min((image_id for image_id in first if image_id is not None), default=None)
        came[state] = session.scalar(select(Image.created_at).where(Image.id == oldest))
    return came


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


def nights_by_outcome(session: Session) -> dict[str, int]:
    rows = session.execute(
        select(Night.outcome, func.count())
        .where(Night.outcome.is_not(None))
        .group_by(Night.outcome)
    )
    return {outcome.value: count for outcome, count in rows if outcome is not None}
