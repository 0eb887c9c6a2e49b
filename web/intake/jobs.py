"""Jobs: send files, follow what becomes of them."""

from typing import Any
from uuid import uuid4

from apiflask import APIBlueprint
from flask import abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict, NotFound

from models.audit.log import record
from models.intake.jobs import (
    JobProgress,
    JobStateError,
    NoJobError,
    cancel_job,
    close_job,
    create_job,
    job_progress,
    lift_cancellation,
    list_jobs,
    require_job,
    require_open,
)
from models.reading.results import list_results
from models.tables.intake import State
from models.tables.people import Role
from web.auth.rules import needs, person
from web.auth.view_log import record_job, record_part_of_job, record_upload
from web.context import current_context
from web.http.params import read_query
from web.http.request_log import follow_job
from web.http.schemas import (
    FilesOut,
    ImagesQuery,
    JobOut,
    JobsOut,
    NewJob,
    Paging,
    ResultsOut,
)
from web.intake.actions import cancel_images, retry_images
from web.intake.receive import receive
from web.intake.schemas import Closing, RetriedOut, Retrying

bp = APIBlueprint("jobs", __name__, tag="Jobs")

PAGE_SIZE = 50
IMAGES_PAGE_SIZE = 100
NO_JOB = "there is no such job"
_PARTS = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "The part's filename is the path within the upload, with `/`.",
        }
    },
}


@bp.get("/")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def index() -> str:
    page = read_query(Paging).page
    with current_context().sessions() as session:
        jobs = list_jobs(session, page=page, page_size=PAGE_SIZE)
    return render_template("jobs.html", jobs=jobs)


@bp.get("/jobs/<job_id>")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def show_page(job_id: str) -> str:
    job = _progress(job_id)
    record_job(job_id)
    return render_template("job.html", job=job)


@bp.get("/api/v1/jobs")
@bp.input(Paging, location="query")
@bp.output(JobsOut)
@needs(Role.VIEWER)
def list_page(query_data: Paging) -> JobsOut:
    """Jobs, newest first."""
    with current_context().sessions() as session:
        jobs = list_jobs(session, page=query_data.page, page_size=PAGE_SIZE)
    return JobsOut(jobs=[JobOut.model_validate(job) for job in jobs.items], next=jobs.next)


@bp.post("/api/v1/jobs")
@bp.input(NewJob)
@bp.output(JobOut, status_code=201)
@needs(Role.OPERATOR)
def create(json_data: NewJob) -> JobProgress:
    """A new job, open for files. Asked for again with the same key, it is the same job."""
    with current_context().sessions.begin() as session:
        job_id, is_new = create_job(
            session,
            name=json_data.name,
            user_id=person().id,
            key=json_data.key or uuid4().hex,
        )
        if is_new:
            record(session, user_id=person().id, action="job.created", target=job_id)
    follow_job(job_id)
    return _progress(job_id)


@bp.get("/api/v1/jobs/<job_id>")
@bp.output(JobOut)
@needs(Role.VIEWER)
def show(job_id: str) -> JobProgress:
    """One job and how far it is."""
    return _progress(job_id)


@bp.post("/api/v1/jobs/<job_id>/files")
@bp.output(FilesOut)
@bp.doc(
    description="multipart/form-data with parts named `files`; a zip is unpacked.",
    responses=[409, 413, 422, 507],
)
@needs(Role.OPERATOR)
def send(job_id: str) -> FilesOut:
    """Files of a job. Sending the same file again changes nothing."""
    with current_context().sessions() as session:
        require_open(session, job_id)  # said before all of it is read; asked again with the rows
    parts = request.files.getlist("files")
    if not parts:
        abort(422, "expected multipart/form-data with parts named `files`; there is none")
    receipt = receive(current_context(), job_id=job_id, parts=parts)
    record_upload(job_id)
    return FilesOut(files=receipt.files, ignored=receipt.ignored, unlisted=receipt.unlisted)


@bp.post("/api/v1/jobs/<job_id>/close")
@bp.input(Closing)
@bp.output(JobOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def close(job_id: str, json_data: Closing) -> JobProgress:
    """All was sent. Declared files that have not arrived are an error, or are given up."""
    give_up = json_data.missing == "give_up"
    with current_context().sessions.begin() as session:
        if close_job(session, job_id, give_up_missing=give_up):
            record(session, user_id=person().id, action="job.closed", target=job_id)
    return _progress(job_id)


@bp.post("/api/v1/jobs/<job_id>/cancel")
@bp.output(JobOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def cancel(job_id: str) -> JobProgress:
    """What waits is not read any more, and no more files are taken. What was read stays."""
    with current_context().sessions.begin() as session:
        if cancel_job(session, job_id):
            record(session, user_id=person().id, action="job.cancelled", target=job_id)
    cancel_images(current_context(), job_id)
    return _progress(job_id)


@bp.post("/api/v1/jobs/<job_id>/retry")
@bp.input(Retrying)
@bp.output(RetriedOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def retry(job_id: str, json_data: Retrying) -> RetriedOut:
    """Images wait again, as far as their bytes are still there. A cancellation is lifted."""
    with current_context().sessions.begin() as session:
        lift_cancellation(session, job_id)
        record(session, user_id=person().id, action="job.retried", target=job_id)
    done = retry_images(current_context(), job_id, which=json_data.which)
    job = JobOut.model_validate(_progress(job_id))
    return RetriedOut(retried=done.retried, left=done.left, job=job)


@bp.get("/api/v1/jobs/<job_id>/images")
@bp.input(ImagesQuery, location="query")
@bp.output(ResultsOut)
@needs(Role.VIEWER)
def images(job_id: str, query_data: ImagesQuery) -> ResultsOut:
    """A job's images in the order of arrival, all or those in one state."""
    with current_context().sessions() as session:
        require_job(session, job_id)
        state = State(query_data.state) if query_data.state else None
        found = list_results(
            session,
            operating_point=current_context().settings.operating_point,
            job_id=job_id,
            state=state,
            page=query_data.page,
            page_size=IMAGES_PAGE_SIZE,
        )
    record_part_of_job(job_id)
    return ResultsOut.model_validate({"images": found.items, "next": found.next})


def describe_upload(spec: dict[str, Any]) -> dict[str, Any]:
    """The one body that APIFlask cannot see, since the parts go to disk one by one."""
    operation = spec["paths"]["/api/v1/jobs/{job_id}/files"]["post"]
    operation["requestBody"] = {
        "required": True,
        "content": {"multipart/form-data": {"schema": _PARTS}},
    }
    for act in ("close", "retry"):
        spec["paths"][f"/api/v1/jobs/{{job_id}}/{act}"]["post"]["requestBody"]["required"] = False
    return spec


@bp.app_errorhandler(NoJobError)
def _no_job(_: NoJobError) -> ResponseReturnValue:
    return current_app.handle_http_exception(NotFound(NO_JOB))


@bp.app_errorhandler(JobStateError)
def _not_as_things_stand(error: JobStateError) -> ResponseReturnValue:
    return current_app.handle_http_exception(Conflict(str(error)))


def _progress(job_id: str) -> JobProgress:
    with current_context().sessions() as session:
        found = job_progress(session, job_id)
    if found is None:
        raise NoJobError
    return found
