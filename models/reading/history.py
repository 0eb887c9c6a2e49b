"""What a version said of the images that came in a stretch of time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.tables.intake import Image, Prediction, Study

SAMPLE = 30_000  # contents: chance is small by then, and a night is not held up
_HEX_DIGITS = 8


@dataclass(frozen=True)
class PastAnswer:
    """Of one content. patient: whose it is, as far as is known; else the content's own hash.

    is_recent: it first came in the later part of the time that was asked for.
    """

    probability: float
    unfamiliarity: float
    is_unanswered: bool
    patient: str
    is_recent: bool


@dataclass(frozen=True)
class History:
    """is_sample: there are more answers than these."""

    answers: list[PastAnswer]
    is_sample: bool


def past_answers(
    session: Session,
    model_version_id: int,
    *,
    since: datetime,
    recent_since: datetime,
    sample: int = SAMPLE,
) -> History:
    """Each content once, by when its images came: not by when it was read.

    An archive that a new version reads again is no news of the world. Of very many contents a
    fixed sample by their hash, which is as good as chance.
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
    # The earliest image of a content decides, so the recent ones must not overwrite it.
    for sha256, probability, unfamiliarity, is_unanswered, patient, is_recent in session.execute(
        query
    ):
        if sha256 not in found or not is_recent:
            found[sha256] = PastAnswer(
                probability=probability,
                unfamiliarity=unfamiliarity,
                is_unanswered=is_unanswered,
                patient=patient,
                is_recent=is_recent,
            )
    return History(list(found.values()), is_sample=below is not None)


def _sample_end(session: Session, model_version_id: int, *, sample: int) -> str | None:
    """Hashes below it are about so many; None where there are no more anyway."""
    counted = select(func.count()).where(Prediction.model_version_id == model_version_id)
    total = session.scalar(counted) or 0
    if total <= sample:
        return None
    return f"{int(sample / total * 16**_HEX_DIGITS):0{_HEX_DIGITS}x}"
