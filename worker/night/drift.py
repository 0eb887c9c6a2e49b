"""Drift: compare the latest predictions of a version with its earlier ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from models.context import AppContext
from models.reading.history import PastAnswer, past_answers
from models.tables.intake import ModelVersion
from pipeline.evaluation.drift import Window, compare_windows, describe_drift

REFERENCE_DAYS: Final = 90  # long enough that seasons are not drift
SAMPLED: Final = "These images are a sample, since there are very many."


def measure_drift(
    context: AppContext, version: ModelVersion, *, moment: datetime
) -> dict[str, Any]:
    """Return JSON: `words` for people, both windows, and statistics if there are enough images."""
    days = context.settings.drift_days
    recent_since = moment - timedelta(days=days)
    since = moment - timedelta(days=days + REFERENCE_DAYS)
    with context.sessions() as session:
        answers, is_sample = past_answers(
            session, version.id, since=since, recent_since=recent_since
        )
    recent = _window([one for one in answers if one.is_recent])
    reference = _window([one for one in answers if not one.is_recent])
    drift = compare_windows(recent, reference)
    words = describe_drift(drift, recent, reference, days=days, days_before=REFERENCE_DAYS)
    return {
        "words": f"{words} {SAMPLED}" if is_sample else words,
        "model_version": version.name,
        "is_sample": is_sample,
        "recent": _window_json(recent, since=recent_since, until=moment),
        "reference": _window_json(reference, since=since, until=recent_since),
        "degree": None,
        **(drift or {}),
    }


def _window(answers: Sequence[PastAnswer]) -> Window:
    return Window(
        probabilities=np.array([one.probability for one in answers], np.float64),
        unfamiliarities=np.array([one.unfamiliarity for one in answers], np.float64),
        is_unanswered=np.array([one.is_unanswered for one in answers], np.bool_),
        patients=[one.patient for one in answers],
    )


def _window_json(window: Window, *, since: datetime, until: datetime) -> dict[str, Any]:
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "images": len(window),
        "patients": len(set(window.patients)),
    }
