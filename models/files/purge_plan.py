"""What a purge takes, what it leaves, and why. Nothing is changed here.

A job can go once it has ended: closed or cancelled, with no image that waits and no file that is
still expected. Of its images those stay that a snapshot holds, with all that belongs to them: else
the next snapshot would lack them, and a test split would shrink. While a night is at work, so do
those that have a label: it may be about to freeze them.

A content's files, answers, labels and fingerprints go with the last image of it; an imported set
that has the same content keeps its network input, labels and fingerprint.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from models.intake.uploads import MISSING
from models.query import ROWS_A_FETCH
from models.tables.intake import WAITING_STATES, Image, Job, Prediction, Upload
from models.tables.learning import Fingerprint, ImportedImage, Label, Night, SnapshotImage

MOST_JOBS = 500  # that a plan lists; its counts are of all


@dataclass(frozen=True)
class WhichJobs:
    """One job, or all that ended before a time."""

    job_id: str | None = None
    ended_before: datetime | None = None


@dataclass(frozen=True)
class JobPlan:
    """goes, stays: its images. why: what keeps them, or the whole job."""

    id: str
    name: str
    created_at: datetime
    goes: int
    stays: int
    why: str


@dataclass(frozen=True)
class Counts:
    """What goes, of all jobs that were asked for. unended: jobs that stay, since they have not.

    shared: contents that another job has, too.
    """

    jobs: int
    unended: int
    images: int
    contents: int
    shared: int
    predictions: int
    labels: int
    fingerprints: int
    uploads: int


def list_plans(session: Session, which: WhichJobs, *, limit: int = MOST_JOBS) -> list[JobPlan]:
    """Oldest first; also jobs that are old enough, and stay for another reason."""
    rows = session.execute(_with_counts(which).order_by(Job.created_at, Job.id).limit(limit))
    return [_plan(row) for row in rows]


def count_purge(session: Session, which: WhichJobs) -> Counts:
    going, gone = _going(which), _gone(which)
    contents = _count(session, select(gone.c.sha256))
    own = select(gone.c.sha256).where(gone.c.sha256.not_in(select(ImportedImage.sha256)))
    uploads = select(Upload.id).where(Upload.job_id.in_(_purgeable(which)))
    return Counts(
        jobs=_count(session, _purgeable(which)),
        unended=_count(session, select(Job.id).where(_chosen(which), ~has_ended())),
        images=_count(session, going),
        contents=contents,
        shared=_count(session, going.with_only_columns(Image.sha256).distinct()) - contents,
        predictions=_count(session, _of(Prediction.sha256, select(gone.c.sha256))),
        labels=_count(session, _of(Label.sha256, own)),
        fingerprints=_count(session, _of(Fingerprint.sha256, own)),
        uploads=_count(session, uploads),
    )


def iter_gone_inputs(session: Session, which: WhichJobs) -> Iterator[str]:
    """Contents whose network inputs go."""
    gone = _gone(which)
    rows = select(gone.c.sha256).where(gone.c.sha256.not_in(select(ImportedImage.sha256)))
    yield from session.scalars(rows.execution_options(yield_per=ROWS_A_FETCH))


def iter_gone_stored(session: Session, which: WhichJobs) -> Iterator[str]:
    """Stored files that go. Contents that differ may look alike once they are de-identified."""
    going = _going(which).with_only_columns(Image.id)
    left = select(Image.stored_sha256).where(
        Image.stored_sha256.is_not(None), Image.id.not_in(going)
    )
    rows = select(Image.stored_sha256).where(
        Image.id.in_(going), Image.stored_sha256.is_not(None), Image.stored_sha256.not_in(left)
    )
    for one in session.scalars(rows.distinct().execution_options(yield_per=ROWS_A_FETCH)):
        yield str(one)


def next_purgeable(session: Session, which: WhichJobs) -> str | None:
    """The oldest job of which something goes."""
    return session.scalar(_purgeable(which).order_by(Job.created_at, Job.id).limit(1))


def has_ended() -> ColumnElement[bool]:
    """Of a job."""
    # An alias, since queries of images ask this, too.
    one = aliased(Image)
    return and_(
        or_(Job.closed_at.is_not(None), Job.cancelled_at.is_not(None)),
        ~exists().where(one.job_id == Job.id, one.state.in_(WAITING_STATES)),
        ~exists().where(Upload.job_id == Job.id, *MISSING),
    )


def stays() -> ColumnElement[bool]:
    """Of an image."""
    return or_(_is_frozen(), _may_be_frozen())


def _purgeable(which: WhichJobs) -> Select[str]:
    goes = exists().where(Image.job_id == Job.id, ~stays())
    return _ready(which).where(or_(goes, ~_has_images()))


def _has_images() -> ColumnElement[bool]:
    """Of a job."""
    return exists().where(Image.job_id == Job.id)


def _is_frozen() -> ColumnElement[bool]:
    return Image.sha256.in_(select(SnapshotImage.sha256))


def _may_be_frozen() -> ColumnElement[bool]:
    night_at_work = exists().where(Night.is_open.is_(True))
    return and_(night_at_work, Image.sha256.in_(select(Label.sha256)))


def _chosen(which: WhichJobs) -> ColumnElement[bool]:
    if which.job_id is not None:
        return Job.id == which.job_id
    before, one = which.ended_before, aliased(Image)
    later = exists().where(one.job_id == Job.id, one.finished_at >= before)
    ended_at = func.coalesce(Job.closed_at, Job.cancelled_at, Job.created_at)
    return and_(ended_at < before, ~later)


def _ready(which: WhichJobs) -> Select[str]:
    return select(Job.id).where(_chosen(which), has_ended())


def _going(which: WhichJobs) -> Select[Any, Any]:
    return select(Image.id, Image.sha256).where(Image.job_id.in_(_ready(which)), ~stays())


def _gone(which: WhichJobs) -> Subquery:
    """Contents of which no image is left."""
    other = aliased(Image)
    elsewhere = exists().where(other.sha256 == Image.sha256, other.job_id.not_in(_ready(which)))
    of_jobs = select(Image.sha256).where(Image.job_id.in_(_ready(which)), ~stays(), ~elsewhere)
    return of_jobs.distinct().subquery("gone")


def _with_counts(which: WhichJobs) -> Select[*tuple[Any, ...]]:
    def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    return (
        select(
            Job.id,
            Job.name,
            Job.created_at,
            or_(Job.closed_at.is_not(None), Job.cancelled_at.is_not(None)).label("takes_no_more"),
            has_ended().label("has_ended"),
            func.count(Image.id).label("images"),
            count(Image.state.in_(WAITING_STATES)).label("waiting"),
            count(_is_frozen()).label("frozen"),
            count(and_(_may_be_frozen(), ~_is_frozen())).label("labelled"),
        )
        .outerjoin(Image, Image.job_id == Job.id)
        .where(_chosen(which))
        .group_by(Job.id)
    )


def _plan(row: Any) -> JobPlan:
    stays = row.frozen + row.labelled if row.has_ended else row.images
    why = _why(row)
    return JobPlan(row.id, row.name, row.created_at, row.images - stays, stays, why)


def _why(row: Any) -> str:
    if not row.takes_no_more:
        return "it is open: close or cancel it first"
    if row.waiting:
        return f"{row.waiting} images wait to be read"
    if not row.has_ended:
        return "declared files are still expected"
    frozen = f"{row.frozen} in a snapshot" if row.frozen else ""
    labelled = f"{row.labelled} with a label, and a night is at work" if row.labelled else ""
    return ", ".join(filter(None, (frozen, labelled)))


def _of(column: Any, contents: Select[Any]) -> Select[Any]:
    return select(column).where(column.in_(contents))


def _count(session: Session, rows: Select[*tuple[Any, ...]]) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0
