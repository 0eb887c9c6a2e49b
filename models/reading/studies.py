"""Studies. A study's finding is that of its most suspicious image; lists sort by kept summaries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import now
from models.intake.study_links import study_label
from models.query import insert_new
from models.reading.results import Result, first_results, list_study_results
from models.tables.intake import Study
from models.tables.worklist import StudySummary
from models.worklist.order import Listing, count_studies, studies_from
from pipeline.types import OperatingPoint


@dataclass(frozen=True)
class NewStudy:
    study_hash: str
    patient_hash: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class ListedStudy:
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
    population: str | None
    first: Result | None


@dataclass(frozen=True)
class StudyDetail:
    summary: ListedStudy
    images: list[Result]


@dataclass(frozen=True)
class Place:
    """Which page of the list: after, before or from a study on, the last one, or one by its number,
    which takes longer the higher it is.
    """

    after: int | None = None
    before: int | None = None
    start: int | None = None
    is_last: bool = False
    page: int = 1


FIRST = Place()


@dataclass(frozen=True)
class StudyPage:
    """before, after: of the links to the previous and the next page; None where there is none."""

    items: list[ListedStudy]
    total: int
    before: int | None
    after: int | None


def get_or_create_studies(session: Session, studies: Sequence[NewStudy]) -> dict[str, int]:
    """Ids by study hash."""
    # Sorted: two workers that add the same studies in different orders would deadlock.
    wanted = {study.study_hash: study for study in sorted(studies, key=lambda s: s.study_hash)}
    insert_new(session, Study, [{**vars(study), "created_at": now()} for study in wanted.values()])
    rows = select(Study.study_hash, Study.id).where(Study.study_hash.in_(wanted))
    return dict(session.execute(rows).all())


def list_studies(
    session: Session,
    listing: Listing,
    *,
    operating_point: OperatingPoint,
    place: Place = FIRST,
    page_size: int = 50,
) -> StudyPage:
    ids = _ids_at(session, listing, place, page_size)
    summaries = _find_summaries(session, listing, ids, operating_point=operating_point)
    return StudyPage(
        items=[summaries[one] for one in ids if one in summaries],
        total=count_studies(session, listing),
        before=_if_any(session, listing, ids[:1], backwards=True),
        after=_if_any(session, listing, ids[-1:], backwards=False),
    )


def neighbours(session: Session, listing: Listing, study_id: int) -> tuple[int | None, int | None]:
    """The previous and the next study of the list. Both None if it is not listed."""
    if session.get(StudySummary, (study_id, listing.scope)) is None:
        return None, None
    previous, following = (
        next(iter(studies_from(session, listing, study_id=study_id, backwards=way, limit=1)), None)
        for way in (True, False)
    )
    return previous, following


def get_study(
    session: Session,
    study_id: int,
    *,
    operating_point: OperatingPoint,
    prevalence: float | None = None,
) -> StudyDetail | None:
    summaries = _find_summaries(session, Listing(), [study_id], operating_point=operating_point)
    if study_id not in summaries:
        return None
    images = list_study_results(
        session, study_id, operating_point=operating_point, prevalence=prevalence
    )
    return StudyDetail(summaries[study_id], images)


def _ids_at(session: Session, listing: Listing, place: Place, size: int) -> list[int]:
    if place.before is not None or place.is_last:
        ids = studies_from(session, listing, study_id=place.before, backwards=True, limit=size)
        if len(ids) == size or place.is_last:
            return ids[::-1]
        place = FIRST  # there is not a whole page before it
    return studies_from(
        session,
        listing,
        study_id=place.start or place.after,
        including=place.start is not None,
        skip=(place.page - 1) * size,
        limit=size,
    )


def _if_any(session: Session, listing: Listing, end: list[int], *, backwards: bool) -> int | None:
    """The study at an end of a page, if others are beyond it."""
    for study_id in end:
        if studies_from(session, listing, study_id=study_id, backwards=backwards, limit=1):
            return study_id
    return None


def _find_summaries(
    session: Session, listing: Listing, ids: list[int], *, operating_point: OperatingPoint
) -> dict[int, ListedStudy]:
    first = first_results(session, ids, operating_point=operating_point, job_id=listing.job_id)
    rows = (
        select(StudySummary.images, StudySummary.predicted, Study)
        .join(Study, Study.id == StudySummary.study_id)
        .where(StudySummary.scope == listing.scope, StudySummary.study_id.in_(ids))
    )
    return {
        study.id: _line(study, images, predicted, first.get(study.id))
        for images, predicted, study in session.execute(rows)
    }


_ANSWER = (
    *("finding", "probability", "threshold", "operating_point", "temperature", "population"),
)


def _line(study: Study, images: int, predicted: int, first: Result | None) -> ListedStudy:
    answer = first if first is not None and first.finding is not None else None
    shown = {name: getattr(answer, name, None) for name in _ANSWER}
    return ListedStudy(
        id=study.id,
        label=study_label(study.study_hash, study.folder),
        created_at=study.created_at,
        images=images,
        predicted=predicted,
        **shown,
        first=first,
    )
