"""Results: one image's answer as scripts and people see it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from models.paging import Page
from models.tables import Image, ModelAlias, ModelVersion, Prediction, State, Study
from models.versions import PRODUCTION

PAGE_SIZE = 1000


@dataclass(frozen=True)
class Result:
    """The fields of a JSON line, in their order. status: the image's state."""

    file: str
    sha256: str
    status: str
    reason: str | None
    finding: str | None
    probability: float | None
    threshold: float | None
    unfamiliarity: float | None
    warnings: list[str]
    model_version: str | None
    study: str | None
    job_id: str
    image_id: int


def reason_sentence(file: str, clause: str) -> str:
    return f"{PurePosixPath(file).name}: {clause}"


def iter_results(session: Session, *, job_id: str | None = None) -> Iterator[Result]:
    """In the order of arrival, however many, a page in memory at a time."""
    after = 0
    while True:
        query = _results(job_id=job_id).where(Image.id > after).order_by(Image.id)
        page = session.execute(query.limit(PAGE_SIZE)).all()
        yield from (_result(row) for row in page)
        if len(page) < PAGE_SIZE:
            return
        after = page[-1].id


def list_results(
    session: Session,
    *,
    job_id: str,
    state: State | None = None,
    page: int = 1,
    page_size: int = 100,
) -> Page[Result]:
    chosen = [Image.job_id == job_id]
    if state is not None:
        chosen.append(Image.state == state)
    total = session.scalar(select(func.count()).select_from(Image).where(*chosen)) or 0
    query = _results(job_id=job_id).where(*chosen).order_by(Image.id)
    rows = session.execute(query.limit(page_size).offset((page - 1) * page_size))
    return Page([_result(row) for row in rows], page, page_size, total)


def list_study_results(session: Session, study_id: int) -> list[Result]:
    """The most suspicious first; images without an answer last."""
    order = (Prediction.finding.is_(None), Prediction.probability.desc().nulls_last(), Image.id)
    query = _results(job_id=None).where(Image.study_id == study_id).order_by(*order)
    return [_result(row) for row in session.execute(query)]


def get_result(session: Session, image_id: int) -> Result | None:
    row = session.execute(_results(job_id=None).where(Image.id == image_id)).first()
    return _result(row) if row is not None else None


def shown_prediction_id() -> ColumnElement[int]:
    """Of an image's predictions, the live version's; until that has read it, the newest.

    So a newly promoted version never makes answers vanish. Each answer names its version.
    """
    live = (
        select(ModelAlias.model_version_id)
        .where(ModelAlias.name == PRODUCTION)
        .order_by(ModelAlias.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    one = aliased(Prediction)
    same_bytes = one.sha256 == Image.sha256
    by_live = select(one.id).where(same_bytes, one.model_version_id == live)
    newest = select(func.max(one.id)).where(same_bytes)
    return func.coalesce(
        by_live.correlate(Image).scalar_subquery(), newest.correlate(Image).scalar_subquery()
    )


def _results(*, job_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Image.id,
            Image.job_id,
            Image.file,
            Image.sha256,
            Image.state,
            Image.reason,
            Image.warnings,
            Study.study_hash,
            Prediction.finding,
            Prediction.probability,
            Prediction.threshold,
            Prediction.unfamiliarity,
            Prediction.reason.label("no_finding"),
            Prediction.warnings.label("doubts"),
            ModelVersion.name.label("model_version"),
        )
        .outerjoin(Study, Study.id == Image.study_id)
        .outerjoin(Prediction, Prediction.id == shown_prediction_id())
        .outerjoin(ModelVersion, ModelVersion.id == Prediction.model_version_id)
    )
    return query if job_id is None else query.where(Image.job_id == job_id)


def _result(row: Any) -> Result:
    return Result(
        file=row.file,
        sha256=row.sha256,
        status=row.state.value,
        reason=reason_sentence(row.file, row.reason) if row.reason else row.no_finding,
        finding=row.finding,
        probability=row.probability,
        threshold=row.threshold,
        unfamiliarity=row.unfamiliarity,
        warnings=[*(row.warnings or ()), *(row.doubts or ())],
        model_version=row.model_version,
        study=row.study_hash[:8] if row.study_hash else None,
        job_id=row.job_id,
        image_id=row.id,
    )
