"""Studies. A study's finding is that of its most suspicious image, computed on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from models.base import now
from models.intake.study_links import study_label
from models.query import Page, insert_new, read_row_page
from models.reading.results import Result, first_results, list_study_results, shown_prediction_id
from models.tables.intake import Image, Prediction, Study
from pipeline.types import OperatingPoint

Order = Literal["probability", "created_at", "label", "images"]


@dataclass(frozen=True)
class NewStudy:
    study_hash: str
    patient_hash: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class StudySummary:
    """A line of the work list. first: the study's most suspicious image.

    finding, probability etc. are that image's; None if no image has a finding.
    """

    id: int
    label: str
    created_at: datetime
    images: int
    predicted: int
    finding: str | None
    probability: float | None
    threshold: float | None
    operating_point: str | None
    temperature: float | None
    first: Result | None


@dataclass(frozen=True)
class StudyDetail:
    summary: StudySummary
    images: list[Result]


def get_or_create_studies(session: Session, studies: Sequence[NewStudy]) -> dict[str, int]:
    """Ids by study hash."""
    # Sorted: two workers that add the same studies in different orders would deadlock.
    wanted = {study.study_hash: study for study in sorted(studies, key=lambda s: s.study_hash)}
    insert_new(session, Study, [{**vars(study), "created_at": now()} for study in wanted.values()])
    rows = select(Study.study_hash, Study.id).where(Study.study_hash.in_(wanted))
    return dict(session.execute(rows).all())


def list_studies(
    session: Session,
    *,
    operating_point: OperatingPoint,
    order: Order = "probability",
    descending: bool = True,
    finding: str | None = None,
    job_id: str | None = None,
    page: int = 1,
    page_size: int = 50,
) -> Page[StudySummary]:
    """finding: "pneumonia", "normal", or "none" for studies without a finding."""
    summaries = _summaries(operating_point, job_id=job_id)
    if finding is not None:
        wanted = {"pneumonia": _positive == 1, "normal": _positive == 0}
        summaries = summaries.having(wanted.get(finding, _positive.is_(None)))
        total = session.scalar(select(func.count()).select_from(summaries.subquery())) or 0
    else:  # counting needs no predictions, which are most of the work
        studies = select(func.count(func.distinct(Image.study_id)))
        total = session.scalar(studies.where(*_in_job(job_id))) or 0
    key = _ORDERS[order]
    ordered = summaries.order_by((key.desc() if descending else key.asc()).nulls_last(), Study.id)
    found = read_row_page(session, ordered, page=page, page_size=page_size, total=total)
    ids = [row.id for row in found.items]
    first = first_results(session, ids, operating_point=operating_point, job_id=job_id)
    return found.of([_summary(row, first.get(row.id)) for row in found.items])


def get_study(
    session: Session, study_id: int, *, operating_point: OperatingPoint
) -> StudyDetail | None:
    summaries = _summaries(operating_point, job_id=None)
    row = session.execute(summaries.where(Study.id == study_id)).first()
    if row is None:
        return None
    images = list_study_results(session, study_id, operating_point=operating_point)
    return StudyDetail(_summary(row, next(iter(images), None)), images)


_ANSWER = ("finding", "probability", "threshold", "operating_point", "temperature")
_answered = Prediction.finding.is_not(None)
_suspected = Prediction.finding == "pneumonia"
_positive = func.max(case((_suspected, 1), (_answered, 0)))
# Thresholds may differ: an image above its own goes before one with a higher probability below.
_probability = func.coalesce(
    func.max(case((_suspected, Prediction.probability))),
    func.max(case((_answered, Prediction.probability))),
)

_ORDERS: dict[Order, ColumnElement[Any]] = {
    "probability": _probability,
    "created_at": Study.created_at.expression,
    "label": func.coalesce(Study.folder, Study.study_hash),
    "images": func.count(Image.id),
}


def _summaries(operating_point: OperatingPoint, *, job_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Study.id,
            Study.study_hash,
            Study.folder,
            Study.created_at,
            func.count(Image.id).label("images"),
            func.count(Prediction.id).label("predicted"),
            _positive.label("positive"),
        )
        .join(Image, Image.study_id == Study.id)
        .outerjoin(Prediction, Prediction.id == shown_prediction_id(operating_point))
        .group_by(Study.id)
    )
    return query.where(*_in_job(job_id))


def _in_job(job_id: str | None) -> list[ColumnElement[bool]]:
    return [] if job_id is None else [Image.job_id == job_id]


def _summary(row: Any, first: Result | None) -> StudySummary:
    answer = first if first is not None and first.finding is not None else None
    shown = {name: getattr(answer, name, None) for name in _ANSWER}
    return StudySummary(
        id=row.id,
        label=study_label(row.study_hash, row.folder),
        created_at=row.created_at,
        images=row.images,
        predicted=row.predicted,
        **shown,
        first=first,
    )
