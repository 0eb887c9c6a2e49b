"""A version's predictions of images that came in a period, for drift."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.query import count_rows
from models.tables.intake import Image, Prediction, Study

SAMPLE = 30_000  # images: sampling error is small, and the query fast
_HEX_DIGITS = 8


@dataclass(frozen=True)
class PastAnswer:
    """Of one file's bytes. patient: hash of the patient if known, else of the bytes.

    is_recent: the bytes first came in the recent part of the period.
    """

    probability: float
    unfamiliarity: float
    is_unanswered: bool
    patient: str
    is_recent: bool


def past_answers(
    session: Session,
    model_version_id: int,
    *,
    since: datetime,
    recent_since: datetime,
    sample: int = SAMPLE,
) -> tuple[list[PastAnswer], bool]:
    """Equal bytes count once, by when their first image came, not by when they were predicted.

    So an archive that a new version reads again does not look like new data. Of more than `sample`
    a fixed sample by hash is taken; also returns whether it was.
    """
    query = (
        select(
            Prediction.sha256,
            Prediction.probability,
            Prediction.unfamiliarity,
            Prediction.finding.is_(None),
            func.coalesce(Study.patient_hash, Prediction.sha256),
            Image.created_at >= recent_since,
        )
        .join(Image, Image.sha256 == Prediction.sha256)
        .outerjoin(Study, Study.id == Image.study_id)
        .where(Prediction.model_version_id == model_version_id, Image.created_at >= since)
    )
    below = _sample_end(session, model_version_id, sample=sample)
    if below is not None:
        query = query.where(Prediction.sha256 < below)
    found: dict[str, PastAnswer] = {}
    # The earliest image decides, so recent ones must not replace it.
    for row in session.execute(query):
        sha256, *_, is_recent = row
        if sha256 not in found or not is_recent:
            found[sha256] = PastAnswer(*row[1:])
    return list(found.values()), below is not None


def _sample_end(session: Session, model_version_id: int, *, sample: int) -> str | None:
    """About `sample` hashes are below it; None if there are no more."""
    total = count_rows(session, Prediction, Prediction.model_version_id == model_version_id)
    if total <= sample:
        return None
    return f"{int(sample / total * 16**_HEX_DIGITS):0{_HEX_DIGITS}x}"
