"""Summaries of studies: what the work list sorts and filters by.

`summarise` and `summarise_files` make those of some studies again, in the transaction that changed
their images or predictions. A promotion, or another operating point, changes which predictions are
shown, of any number of studies: `refresh_some` makes theirs again, some at a time.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session

from models.learning.promotion import production_version
from models.query import batches
from models.tables.intake import Image, Prediction, Study
from models.tables.worklist import (
    EVERYTHING,
    LABEL_LENGTH,
    StudyFinding,
    StudySummary,
    SummaryBasis,
)
from models.worklist.shown import shown_prediction_id
from pipeline.types import OperatingPoint

NO_SCORE = -1.0
_COLUMNS = [column.name for column in StudySummary.__table__.columns]


def summarise(session: Session, study_ids: Collection[int]) -> None:
    """Those that have no image any more lose their summary.

    The studies are locked first, in one order: of two writers, the second sees what the first has
    written.
    """
    for some in batches(sorted(set(study_ids))):
        locked = select(Study.id).where(Study.id.in_(some)).order_by(Study.id)
        session.execute(locked.with_for_update(key_share=True))
        old = delete(StudySummary).where(StudySummary.study_id.in_(some))
        session.execute(old.execution_options(synchronize_session=False))
        session.execute(_insert_some(), {"study_ids": some})


def summarise_files(session: Session, sha256s: Collection[str]) -> None:
    """Studies with images of these bytes."""
    studies: set[int | None] = set()
    for some in batches(sorted(sha256s)):
        of_bytes = select(Image.study_id).where(Image.sha256.in_(some)).distinct()
        studies.update(session.scalars(of_bytes))
    summarise(session, {one for one in studies if one is not None})


def summarise_everything(session: Session) -> None:
    """For a database to which nobody else writes."""
    if session.get_bind().dialect.name == "postgresql":
        # It takes tables that were just filled for tiny, and would scan whole ones for each row.
        session.execute(text("ANALYZE image, prediction, study"))
    session.execute(delete(StudySummary).execution_options(synchronize_session=False))
    session.execute(_insert(Image.study_id.is_not(None)))


def refresh_some(session: Session, *, operating_point: OperatingPoint, limit: int) -> bool:
    """Up to `limit` studies after a promotion or another operating point; whether some are left."""
    basis = _lock_basis(session, operating_point)
    if basis.after_study_id is None:
        return False
    basis.after_study_id, _ = repair_some(session, after=basis.after_study_id, limit=limit)
    return basis.after_study_id is not None


def repair_some(session: Session, *, after: int, limit: int) -> tuple[int | None, int]:
    """The studies after one: the last of them, None at the end, and how many were wrong."""
    following = select(Study.id).where(Study.id > after).order_by(Study.id)
    ids = session.scalars(following.limit(limit)).all()
    stale = find_stale(session, ids)
    summarise(session, stale)
    return (ids[-1] if len(ids) == limit else None), len(stale)


def find_stale(session: Session, study_ids: Sequence[int]) -> set[int]:
    """Of these studies, those whose summaries are not what their images and predictions say."""
    stale: set[int] = set()
    for some in batches(study_ids):
        stored = select(*(getattr(StudySummary, name) for name in _COLUMNS))
        kept = set(session.execute(stored.where(StudySummary.study_id.in_(some))))
        right = set(session.execute(_summaries(Image.study_id.in_(some))))
        stale.update(row[0] for row in kept ^ right)
    return stale


def _lock_basis(session: Session, operating_point: OperatingPoint) -> SummaryBasis:
    basis = session.get(SummaryBasis, 1, with_for_update=True)
    if basis is None:
        basis = SummaryBasis(operating_point="")
        session.add(basis)
    live = production_version(session)
    wanted = operating_point, live.id if live else None
    if (basis.operating_point, basis.model_version_id) != wanted:
        basis.operating_point, basis.model_version_id = wanted
        basis.after_study_id = 0
        session.flush()
    return basis


@cache
def _insert_some() -> Any:
    """Building it takes longer than executing it for a few studies."""
    return _insert(Image.study_id.in_(bindparam("study_ids", expanding=True)))


def _insert(*which: ColumnElement[bool]) -> Any:
    # Into the table, not the class, which would take all parameters for values of columns.
    return insert(cast(Table, StudySummary.__table__)).from_select(_COLUMNS, _summaries(*which))


def _summaries(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Rows of `study_summary`: one for each study, and one for each job of a study."""
    images = _images(*which)
    study_id, counted = images.c.study_id.label("study_id"), _counted(images)
    whole = select(study_id, literal(EVERYTHING).label("scope"), *counted).group_by(study_id)
    by_job = select(study_id, images.c.job_id.label("scope"), *counted)
    both = union_all(whole, by_job.group_by(study_id, images.c.job_id)).subquery()
    label = func.substr(func.coalesce(Study.folder, Study.study_hash), 1, LABEL_LENGTH)
    return select(
        both.c.study_id,
        both.c.scope,
        both.c.finding,
        both.c.score,
        Study.created_at,
        label.label("label"),
        both.c.images,
        both.c.predicted,
    ).join(Study, Study.id == both.c.study_id)


def _images(*which: ColumnElement[bool]) -> CTE:
    """Each with the prediction that is shown."""
    # Not null where nothing was refreshed yet: databases differ in where they sort null.
    point = func.coalesce(select(SummaryBasis.operating_point).scalar_subquery(), "")
    columns = (Prediction.id.label("prediction_id"), Prediction.finding, Prediction.probability)
    images = select(Image.study_id, Image.job_id, *columns)
    shown = images.outerjoin(Prediction, Prediction.id == shown_prediction_id(point))
    return shown.where(*which).cte("images")


def _counted(images: CTE) -> tuple[ColumnElement[Any], ...]:
    """Finding, score, and numbers of images, of each group."""
    suspected = images.c.finding == "pneumonia"
    answered = images.c.finding.is_not(None)
    # Thresholds may differ: an image above its own goes before one with a higher probability below.
    score = func.coalesce(
        func.max(case((suspected, images.c.probability))),
        func.max(case((answered, images.c.probability))),
        NO_SCORE,
    )
    rank = func.coalesce(func.max(case((suspected, 2), (answered, 1))), 0)
    finding = case(
        (rank == 2, StudyFinding.PNEUMONIA.value),
        (rank == 1, StudyFinding.NORMAL.value),
        else_=StudyFinding.NONE.value,
    )
    return (
        finding.label("finding"),
        score.label("score"),
        func.count().label("images"),
        func.count(images.c.prediction_id).label("predicted"),
    )
