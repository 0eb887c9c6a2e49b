"""Studies: the work list, and one study with its images."""

from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import abort, render_template, request
from pydantic import ValidationError

from models.images import get_image
from models.jobs import get_job
from models.paging import Page
from models.results import Result
from models.studies import StudyDetail, StudySummary, get_study, list_studies
from models.tables import Image
from web.auth import audit
from web.schemas import StudiesOut, StudiesQuery, StudyDetailOut, StudyOut
from web.services import services

bp = APIBlueprint("studies", __name__, tag="Studies")

PAGE_SIZE = 25
API_PAGE_SIZE = 100


@dataclass(frozen=True)
class Row:
    """A line of the work list. first: the study's most suspicious image."""

    study: StudySummary
    first: Result | None
    position: int  # in the whole list, from 1


@dataclass(frozen=True)
class Neighbours:
    previous: int | None
    next: int | None


@bp.get("/studies")
@bp.doc(hide=True)
def worklist() -> str:
    query = _query()
    with services().sessions() as session:
        page = list_studies(session, **query.model_dump(), page_size=PAGE_SIZE)
        details = [get_study(session, study.id) for study in page.items]
        job = get_job(session, query.job_id) if query.job_id else None
    rows, kept = _rows(page, details), _kept(query)
    return render_template("studies.html", page=page, rows=rows, query=query, kept=kept, job=job)


@bp.get("/studies/<int:study_id>")
@bp.doc(hide=True)
def show_page(study_id: int) -> str:
    query, position = _query(), request.args.get("at", type=int)
    with services().sessions() as session:
        study = get_study(session, study_id)
        if study is None:
            abort(404, "there is no such study")
        chosen = _chosen(study, request.args.get("image", type=int))
        image = get_image(session, chosen.image_id) if chosen else None
    audit("study.viewed", str(study_id))
    return render_template(
        "study.html",
        study=study,
        chosen=chosen,
        tags=_tags(image),
        kept=_kept(query),
        position=position,
        list_page=((position or 1) - 1) // PAGE_SIZE + 1,
        beside=_neighbours(query, position),
    )


@bp.get("/api/v1/studies")
@bp.input(StudiesQuery, location="query")
@bp.output(StudiesOut)
def index(query_data: StudiesQuery) -> StudiesOut:
    """The work list: most suspicious first unless asked otherwise."""
    with services().sessions() as session:
        page = list_studies(session, **query_data.model_dump(), page_size=API_PAGE_SIZE)
    studies = [StudyOut.model_validate(study) for study in page.items]
    return StudiesOut(studies=studies, total=page.total, next=page.next)


@bp.get("/api/v1/studies/<int:study_id>")
@bp.output(StudyDetailOut)
def show(study_id: int) -> StudyDetail:
    """One study and the results of its images."""
    with services().sessions() as session:
        study = get_study(session, study_id)
    if study is None:
        abort(404, "there is no such study")
    audit("study.viewed", str(study_id))
    return study


def _query() -> StudiesQuery:
    names = StudiesQuery.model_fields
    given = {name: value for name, value in request.args.items() if name in names and value}
    try:
        return StudiesQuery.model_validate(given)
    except ValidationError as error:
        abort(422, f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}")


def _kept(query: StudiesQuery) -> dict[str, Any]:
    """What links must carry on: the list's order and filters, not its page."""
    return query.model_dump(exclude_defaults=True, exclude={"page"})


def _rows(page: Page[StudySummary], details: list[StudyDetail | None]) -> list[Row]:
    start = (page.page - 1) * page.page_size
    return [
        Row(study, detail.images[0] if detail and detail.images else None, start + number)
        for number, (study, detail) in enumerate(zip(page.items, details, strict=True), 1)
    ]


def _chosen(study: StudyDetail, image_id: int | None) -> Result | None:
    """The image asked for, else the most suspicious one."""
    asked = [image for image in study.images if image.image_id == image_id]
    return next(iter(asked or study.images), None)


def _tags(image: Image | None) -> dict[str, str]:
    return {name: str(value) for name, value in (image.tags or {}).items()} if image else {}


def _neighbours(query: StudiesQuery, position: int | None) -> Neighbours:
    """What stands before and after in the list that the reader came from."""
    if position is None or position < 1:
        return Neighbours(None, None)
    before, after = _id_at(query, position - 1), _id_at(query, position + 1)
    return Neighbours(before, after)


def _id_at(query: StudiesQuery, position: int) -> int | None:
    if position < 1:
        return None
    chosen = query.model_dump() | {"page": position}
    with services().sessions() as session:
        found = list_studies(session, **chosen, page_size=1).items
    return found[0].id if found else None
