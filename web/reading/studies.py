"""The work list, and one study with its images."""

from apiflask import APIBlueprint
from flask import render_template, request
from sqlalchemy.orm import Session

from models.learning.labels import latest_labels
from models.learning.versions import find_version
from models.reading.results import Result
from models.reading.studies import StudyDetail, StudyPage, get_study, list_studies, neighbours
from models.tables.intake import Image, Job
from models.tables.people import Role
from web.auth.rules import needs
from web.auth.view_log import record_study
from web.context import current_settings, read_session
from web.http.params import or_404, read_query
from web.reading.schemas import (
    ListingQuery,
    PictureQuery,
    StudiesOut,
    StudiesQuery,
    StudyDetailOut,
    StudyOut,
    WorkListQuery,
)

bp = APIBlueprint("studies", __name__, tag="Studies")

PAGE_SIZE = 25
API_PAGE_SIZE = 100


@bp.get("/studies")
@needs(Role.VIEWER)
def worklist() -> str:
    query = read_query(WorkListQuery)
    with read_session() as session:
        page = _list(session, query, page_size=PAGE_SIZE)
        job = session.get(Job, query.job_id) if query.job_id else None
    return render_template(
        "studies.html",
        page=page,
        readings=_readings(page),
        query=query,
        kept=query.kept(),
        job=job,
    )


@bp.get("/studies/<int:study_id>")
@needs(Role.VIEWER)
def show_page(study_id: int) -> str:
    query = read_query(ListingQuery)
    with read_session() as session:
        study = _find(session, study_id)
        previous, following = neighbours(session, query.listing(), study_id)
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
        previous=previous,
        next=following,
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
    following = query_data.page + 1 if page.after and not query_data.after else None
    return StudiesOut(studies=studies, total=page.total, next=following, next_after=page.after)


@bp.get("/api/v1/studies/<int:study_id>")
@bp.output(StudyDetailOut)
@needs(Role.VIEWER)
def show(study_id: int) -> StudyDetail:
    """Show a study and the results of its images."""
    with read_session() as session:
        study = _find(session, study_id)
    record_study(study_id)
    return study


def _list(session: Session, query: StudiesQuery, *, page_size: int) -> StudyPage:
    return list_studies(
        session,
        query.listing(),
        operating_point=current_settings().operating_point,
        place=query.place(),
        page_size=page_size,
    )


def _find(session: Session, study_id: int) -> StudyDetail:
    settings = current_settings()
    found = get_study(
        session,
        study_id,
        operating_point=settings.operating_point,
        prevalence=settings.prevalence,
    )
    return or_404(found, "study")


def _readings(page: StudyPage) -> list[Result]:
    """One result of each version, operating point and calibration on the page."""
    answers = [study.first for study in page.items if study.first and study.first.finding]
    calibration = ("model_version", "operating_point", "threshold", "temperature", "population")
    of_kind = {tuple(getattr(one, name) for name in calibration): one for one in answers}
    return list(of_kind.values())
