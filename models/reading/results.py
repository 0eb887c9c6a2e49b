"""Results: one image's state and prediction, for programs and people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from models.counts import images_of_jobs
from models.query import Page
from models.tables.intake import Image, ModelVersion, Prediction, State, Study
from models.worklist.shown import shown_prediction_id
from pipeline.prevalence import probability_at
from pipeline.types import OperatingPoint

PAGE_SIZE = 1000


@dataclass(frozen=True)
class Result:
    """The fields of a JSON line, in their order; new ones come last. status: the image's state.

    operating_point: of the threshold. temperature: of the probability's calibration.
    heatmap_...: see `pipeline.types.HeatmapTrust`. reason_code: of refused and failed images.
    range_rule: see `pipeline.types.RangeRule`. pixel_aspect: height of a pixel over its width.
    orientation: of the stored image, see `pipeline.upright`. These three are None in early results.
    population: as whose image it was read, children's or adults'; None where the version reads all
    alike. prevalence: as stated for this service; adjusted_probability: the probability at it. Both
    are None where none is stated.
    """

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
    operating_point: str | None
    temperature: float | None
    heatmap_peak: float | None
    heatmap_concentration: float | None
    heatmap_inside_body: float | None
    reason_code: str | None
    range_rule: str | None
    pixel_aspect: float | None
    orientation: int | None
    population: str | None
    prevalence: float | None
    adjusted_probability: float | None


_FIELDS = [field.name for field in fields(Result)]


def reason_sentence(file: str, clause: str) -> str:
    return f"{PurePosixPath(file).name}: {clause}"


def iter_results(
    session: Session,
    *,
    operating_point: OperatingPoint,
    prevalence: float | None = None,
    job_id: str | None = None,
) -> Iterator[Result]:
    """In the order of arrival, a page in memory at a time."""
    after = 0
    while True:
        query = _results(operating_point).where(Image.id > after).order_by(Image.id)
        if job_id is not None:
            query = query.where(Image.job_id == job_id)
        page = session.execute(query.limit(PAGE_SIZE)).all()
        yield from (_result(row, prevalence) for row in page)
        if len(page) < PAGE_SIZE:
            return
        after = page[-1].image_id


def list_results(
    session: Session,
    *,
    operating_point: OperatingPoint,
    prevalence: float | None = None,
    job_id: str,
    state: State | None = None,
    page: int = 1,
    page_size: int = 100,
) -> Page[Result]:
    chosen = [Image.job_id == job_id]
    if state is not None:
        chosen.append(Image.state == state)
    counts = images_of_jobs(session, [job_id])[job_id]
    # Their ids first, which an index has: what a page skips is not looked up.
    ids = select(Image.id).where(*chosen).order_by(Image.id)
    found = session.scalars(ids.limit(page_size).offset((page - 1) * page_size)).all()
    rows = session.execute(_results(operating_point).where(Image.id.in_(found)).order_by(Image.id))
    total = counts.total() if state is None else counts[state]
    return Page([_result(row, prevalence) for row in rows], page, page_size, total)


def list_study_results(
    session: Session,
    study_id: int,
    *,
    operating_point: OperatingPoint,
    prevalence: float | None = None,
) -> list[Result]:
    """The most suspicious first; images without a finding last."""
    query = _results(operating_point).where(Image.study_id == study_id).order_by(*_SUSPICION)
    return [_result(row, prevalence) for row in session.execute(query)]


def first_results(
    session: Session,
    study_ids: Sequence[int],
    *,
    operating_point: OperatingPoint,
    job_id: str | None = None,
) -> dict[int, Result]:
    """Each study's most suspicious image, of one job or all, by the study's id."""
    chosen: list[ColumnElement[bool]] = [Image.study_id.in_(study_ids)]
    if job_id is not None:
        chosen.append(Image.job_id == job_id)
    rank = func.row_number().over(partition_by=Image.study_id, order_by=_SUSPICION)
    ranked = (
        select(Image.id, rank.label("rank"))
        .outerjoin(Prediction, Prediction.id == shown_prediction_id(operating_point))
        .where(*chosen)
        .subquery()
    )
    first = select(ranked.c.id).where(ranked.c.rank == 1)
    rows = session.execute(_results(operating_point).where(Image.id.in_(first)))
    return {row.study_id: _result(row) for row in rows}


_SUSPICION = (
    Prediction.finding.is_(None),
    Prediction.finding != "pneumonia",
    Prediction.probability.desc().nulls_last(),
    Image.id,
)


def _results(operating_point: OperatingPoint) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Image.id.label("image_id"),
            Image.job_id,
            Image.study_id,
            Image.file,
            Image.sha256,
            Image.state,
            Image.reason,
            Image.reason_code,
            Image.warnings,
            Image.range_rule,
            Image.pixel_aspect,
            Study.study_hash,
            Prediction.finding,
            Prediction.probability,
            Prediction.threshold,
            Prediction.unfamiliarity,
            Prediction.reason.label("no_finding"),
            Prediction.warnings.label("doubts"),
            Prediction.operating_point,
            Prediction.temperature,
            Prediction.heatmap_peak,
            Prediction.heatmap_concentration,
            Prediction.heatmap_inside_body,
            Prediction.orientation,
            Prediction.population,
            ModelVersion.name.label("model_version"),
        )
        .outerjoin(Study, Study.id == Image.study_id)
        .outerjoin(Prediction, Prediction.id == shown_prediction_id(operating_point))
        .outerjoin(ModelVersion, ModelVersion.id == Prediction.model_version_id)
    )


def _result(row: Any, prevalence: float | None = None) -> Result:
    adjusted = None
    if prevalence is not None and row.probability is not None:
        adjusted = probability_at(row.probability, prevalence=prevalence)
    computed = {
        "status": row.state.value,
        "reason": reason_sentence(row.file, row.reason) if row.reason else row.no_finding,
        "warnings": [*(row.warnings or ()), *(row.doubts or ())],
        "study": row.study_hash[:8] if row.study_hash else None,
        "prevalence": prevalence,
        "adjusted_probability": adjusted,
    }
    as_stored = {name: getattr(row, name) for name in _FIELDS if name not in computed}
    return Result(**as_stored, **computed)
