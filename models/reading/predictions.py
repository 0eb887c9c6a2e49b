"""Predictions: one model version's results for one file's bytes, shared by its images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models.base import now
from models.intake.claims import Claim
from models.lease import NO_LEASE
from models.query import insert_new, update_rows
from models.tables import intake as tables
from models.tables.intake import Image, State
from models.worklist.shown import shown_prediction_id
from models.worklist.summaries import summarise_files
from pipeline.types import OperatingPoint, Prediction


def record_predictions(
    session: Session,
    claim: Claim,
    predictions: Mapping[str, Prediction],
    *,
    model_version_id: int,
    engine: str,
) -> int:
    """A chunk's results by SHA-256. Writes only what the claim still holds; returns how many of
    them came too late.
    """
    hashes = _lock_held(session, claim, list(predictions))
    held = {sha256: predictions[sha256] for sha256 in hashes}
    add_predictions(session, held, model_version_id=model_version_id, engine=engine)
    _finish_ready(session, hashes)
    return len(predictions) - len(hashes)


def add_first_predictions(
    session: Session, predictions: Mapping[str, Prediction], *, model_version_id: int, engine: str
) -> None:
    """Of images that this transaction made ready: `finish_known` then finishes them, and the caller
    summarises their studies.
    """
    _lock_ready(session, list(predictions))  # before the rows below, as elsewhere
    _insert(session, predictions, model_version_id=model_version_id, engine=engine)


def add_predictions(
    session: Session, predictions: Mapping[str, Prediction], *, model_version_id: int, engine: str
) -> None:
    """By SHA-256; existing predictions of this version at this point stay as they are."""
    _insert(session, predictions, model_version_id=model_version_id, engine=engine)
    summarise_files(session, predictions)


def _insert(
    session: Session, predictions: Mapping[str, Prediction], *, model_version_id: int, engine: str
) -> None:
    rows = [
        {
            "sha256": sha256,
            "model_version_id": model_version_id,
            "engine": engine,
            "created_at": now(),
            **_columns(prediction),
        }
        for sha256, prediction in sorted(predictions.items())  # in one order, or writers deadlock
    ]
    insert_new(session, tables.Prediction, rows)


def finish_known(
    session: Session,
    sha256s: Sequence[str],
    *,
    model_version_id: int,
    operating_point: OperatingPoint,
) -> set[str]:
    """Finish ready images whose bytes this version has predicted at this point; their SHA-256s.

    The caller summarises their studies, which were unknown when the prediction was recorded.
    """
    query = select(tables.Prediction.sha256).where(
        tables.Prediction.sha256.in_(sha256s),
        tables.Prediction.model_version_id == model_version_id,
        tables.Prediction.operating_point == operating_point,
    )
    known = set(session.scalars(query))
    _finish_ready(session, sorted(known))
    return known


def get_prediction(
    session: Session, image: Image, *, operating_point: OperatingPoint
) -> tables.Prediction | None:
    """The shown one; see `shown_prediction_id`."""
    query = (
        select(tables.Prediction)
        .join(Image, tables.Prediction.id == shown_prediction_id(operating_point))
        .where(Image.id == image.id)
    )
    return session.scalar(query)


def read_heatmap(prediction: tables.Prediction) -> NDArray[np.float32]:
    """float32 (h, w) in logits; it fits the image as stored."""
    shares = np.frombuffer(prediction.heatmap, "<f2").astype(np.float32)
    flat = shares * np.float32(prediction.heatmap_peak)
    return flat.reshape(prediction.heatmap_rows, prediction.heatmap_columns)


def _lock_held(session: Session, claim: Claim, sha256s: Sequence[str]) -> list[str]:
    """Those that the claim still holds."""
    ready = _lock_ready(session, sha256s)
    return sorted({sha256 for sha256, holder in ready if holder == claim.id})


def _lock_ready(session: Session, sha256s: Sequence[str]) -> Sequence[Row[str, str | None]]:
    """All ready images of these bytes, and who holds them.

    Also those that others hold, in one order: two workers that hold images of equal bytes wait for
    each other instead of deadlocking.
    """
    ready = (
        select(Image.sha256, Image.leased_by)
        .where(Image.sha256.in_(sha256s), Image.state == State.READY)
        .order_by(Image.sha256, Image.id)
        .with_for_update()
    )
    return session.execute(ready).all()


def _finish_ready(session: Session, sha256s: Sequence[str]) -> None:
    # All images of these bytes, claimed or not: other holders find them finished.
    which = (Image.sha256.in_(sha256s), Image.state == State.READY)
    update_rows(session, Image, *which, state=State.PREDICTED, finished_at=now(), **NO_LEASE)


def _columns(prediction: Prediction) -> dict[str, Any]:
    peak = float(prediction.heatmap.max(initial=0.0))
    scaled = prediction.heatmap / peak if peak > 0 else prediction.heatmap
    rows, columns = prediction.heatmap.shape
    return {
        "logit": float(prediction.logit),
        "probability": float(prediction.probability),
        "threshold": float(prediction.threshold),
        "operating_point": prediction.operating_point,
        "temperature": float(prediction.temperature),
        "finding": prediction.finding,
        "unfamiliarity": float(prediction.unfamiliarity),
        "reason": prediction.reason,
        "warnings": list(prediction.warnings),
        "heatmap": scaled.astype("<f2").tobytes(),
        "heatmap_rows": rows,
        "heatmap_columns": columns,
        "heatmap_peak": peak,
        "heatmap_concentration": float(prediction.heatmap_trust.concentration),
        "heatmap_inside_body": float(prediction.heatmap_trust.inside_body),
        "orientation": prediction.orientation,
        "population": prediction.population,
    }
