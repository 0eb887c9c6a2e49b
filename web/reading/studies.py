"""The work list, and one study with its images."""

from apiflask import APIBlueprint
from flask import render_template, request
from sqlalchemy.orm import Session

from models.learning.labels import latest_labels
from models.learning.versions import find_version
from models.query import Page
from models.reading.results import Result
from models.reading.studies import StudyDetail, StudySummary, get_study, list_studies
from models.tables.intake import Image, Job
from models.tables.people import Role
from web.auth.rules import needs
from web.auth.view_log import record_study
from web.context import current_settings, read_session
from web.http.params import or_404, read_query
from web.http.schemas import LAST_PAGE
from web.reading.schemas import PictureQuery, StudiesOut, StudiesQuery, StudyDetailOut, StudyOut

bp = APIBlueprint("studies", __name__, tag="Studies")

PAGE_SIZE = 25
API_PAGE_SIZE = 100


@bp.get("/studies")
@needs(Role.VIEWER)
def worklist() -> str:
    query = read_query(StudiesQuery)
    with read_session() as session:
        page = _list(session, query, page_size=PAGE_SIZE)
        job = session.get(Job, query.job_id) if query.job_id else None
    return render_template(
        "studies.html",
        page=page,
        first_position=(page.page - 1) * page.page_size + 1,  # in the whole list
        readings=_readings(page),
        query=query,
        kept=query.kept(),
        job=job,
    )


@bp.get("/studies/<int:study_id>")
@needs(Role.VIEWER)
def show_page(study_id: int) -> str:
    query, position = read_query(StudiesQuery), request.args.get("at", type=int)
    with read_session() as session:
        study = _find(session, study_id)
        asked = request.args.get("image", type=int)
        # The requested image, else the most suspicious one.
        found = [image for image in study.images if image.image_id == asked] or study.images
        chosen = found[0] if found else None
        image = session.get(Image, chosen.image_id) if chosen else None
        version = find_version(session, chosen.model_version or "") if chosen else None
        labels = latest_labels(session, [chosen.sha256])[chosen.sha256] if chosen else []
    record_study(study_id)
    return render_template(
        "study.html",
        study=study,
        chosen=chosen,
        as_stored=read_query(PictureQuery).as_stored,
        labels=labels,
        tags={name: str(value) for name, value in (image.tags or {}).items()} if image else {},
        card=version.card if version else {},
        point_now=current_settings().operating_point,
        kept=query.kept(),
        position=position,
        list_page=((position or 1) - 1) // PAGE_SIZE + 1,
        previous=_id_at(query, position - 1) if position else None,
        next=_id_at(query, position + 1) if position else None,
    )


@bp.get("/api/v1/studies")
@bp.input(StudiesQuery, location="query")
@bp.output(StudiesOut)
@needs(Role.VIEWER)
def index(query_data: StudiesQuery) -> StudiesOut:
    """List studies, by default the most suspicious first."""
    with read_session() as session:
        page = _list(session, query_data, page_size=API_PAGE_SIZE)
    studies = [StudyOut.model_validate(study) for study in page.items]
    return StudiesOut(studies=studies, total=page.total, next=page.next)


@bp.get("/api/v1/studies/<int:study_id>")
@bp.output(StudyDetailOut)
@needs(Role.VIEWER)
def show(study_id: int) -> StudyDetail:
    """Show a study and the results of its images."""
    with read_session() as session:
        study = _find(session, study_id)
    record_study(study_id)
    return study


def _list(session: Session, query: StudiesQuery, *, page_size: int) -> Page[StudySummary]:
    point = current_settings().operating_point
    return list_studies(session, operating_point=point, **query.model_dump(), page_size=page_size)


def _find(session: Session, study_id: int) -> StudyDetail:
    point = current_settings().operating_point
    return or_404(get_study(session, study_id, operating_point=point), "study")


def _readings(page: Page[StudySummary]) -> list[Result]:
    """One result of each version, operating point and calibration on the page."""
    answers = [study.first for study in page.items if study.first and study.first.finding]
    of_kind = {
        (answer.model_version, answer.operating_point, answer.threshold, answer.temperature): answer
        for answer in answers
    }
    return list(of_kind.values())


def _id_at(query: StudiesQuery, position: int) -> int | None:
    """The study at that place of the list that the reader came from."""
    if not 1 <= position <= LAST_PAGE:
        return None
    one = query.model_copy(update={"page": position})
    with read_session() as session:
        found = _list(session, one, page_size=1).items
    return found[0].id if found else None
