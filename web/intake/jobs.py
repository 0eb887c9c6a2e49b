"""Routes of jobs: list, create, follow, close, cancel, retry; files sent as a form."""

import hashlib
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from uuid import uuid4

from apiflask import APIBlueprint
from flask import Response, abort, render_template, request
from werkzeug.datastructures import FileStorage

from models.config.logs import follow
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
from models.intake.uploads import Declared
from models.reading.results import list_results
from models.tables.people import Role
from web.auth.rules import needs, person, record_action
from web.auth.view_log import record_job, record_part_of_job, record_upload
from web.context import current_context, current_settings, read_session, write_session
from web.http.errors import FORM, answer
from web.http.forms import clean_file_name
from web.http.limits import NEW_JOBS, at_most, takes
from web.http.params import read_query
from web.http.schemas import FilesOut, Out, Paging
from web.intake.actions import cancel_images, retry_images
from web.intake.receive import SentFile, receive
from web.intake.schemas import (
    Closing,
    ImagesOut,
    ImagesQuery,
    JobOut,
    JobsOut,
    NewJob,
    RetriedOut,
    Retrying,
)
from web.intake.wait import wait_for_end, wait_wanted_s
from web.readiness import Waiting, current_readiness, why_waiting

bp = APIBlueprint("jobs", __name__, tag="Jobs")

ONE = "/api/v1/jobs/<job_id>"
PAGE_SIZE = 50
IMAGES_PAGE_SIZE = 100
_PARTS = {
    "type": "object",
    "required": ["files"],
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary"},
            "description": "Each part's filename is the path within the upload, with `/`.",
        }
    },
}


@bp.get("/")
@needs(Role.VIEWER)
def index() -> str:
    page = read_query(Paging).page
    with read_session() as session:
        jobs = list_jobs(session, page=page, page_size=PAGE_SIZE)
    return render_template("jobs.html", jobs=jobs)


@bp.get("/jobs/<job_id>")
@needs(Role.VIEWER)
def show_page(job_id: str) -> str:
    job = _progress(job_id)
    record_job(job_id)
    return render_template("job.html", job=job, waiting_for=_waiting_for(job))


@bp.get("/api/v1/jobs")
@bp.input(Paging, location="query")
@bp.output(JobsOut)
@needs(Role.VIEWER)
def list_page(query_data: Paging) -> JobsOut:
    """List jobs, newest first."""
    with read_session() as session:
        jobs = list_jobs(session, page=query_data.page, page_size=PAGE_SIZE)
    return JobsOut(jobs=jobs.items, next=jobs.next)


@bp.post("/api/v1/jobs")
@bp.input(NewJob)
@bp.output(JobOut, status_code=201)
@at_most(NEW_JOBS)
@needs(Role.OPERATOR)
def create(json_data: NewJob) -> Out:
    """Create a job. A repeated request with the same key returns the same job."""
    with write_session() as session:
        job_id, is_new = create_job(
            session, name=json_data.name, user_id=person().id, key=json_data.key or uuid4().hex
        )
        if is_new:
            record_action(session, "job.created", job_id)
    follow(job=job_id)  # in the request's log line
    return _job_out(job_id)


@bp.get(ONE)
@bp.output(JobOut)
@needs(Role.VIEWER)
def show(job_id: str) -> Out:
    """Show a job's progress.

    With the header `Prefer: wait=SECONDS`, when the job has finished or the time is over; a few
    seconds at most.
    """
    if within_s := wait_wanted_s():
        wait_for_end(current_context(), job_id, within_s=within_s)
    return _job_out(job_id)


@bp.post("/api/v1/jobs/<job_id>/files")
@bp.output(FilesOut)
@bp.doc(
    description="multipart/form-data with parts named `files`; a zip is unpacked. For a few "
    "files with `curl -F`; to upload many, declare them: that can be resumed.",
    responses=[409, 413, 422, 507],
)
@takes(None)
@needs(Role.OPERATOR)
def send(job_id: str) -> FilesOut:
    """Send files as a form. Sending the same file again changes nothing."""
    with read_session() as session:
        require_open(session, job_id)  # before the form is read; checked again with the rows
    if request.mimetype not in (FORM, ""):
        abort(415, f"expected the content type {FORM}")
    parts = request.files.getlist("files")
    if not parts:
        abort(422, "expected parts named `files`")
    receipt = receive(current_context(), job_id=job_id, sent=map(_sent_file, parts))
    record_upload(job_id)
    return receipt


@bp.post("/api/v1/jobs/<job_id>/close")
@bp.input(Closing)
@bp.output(JobOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def close(job_id: str, json_data: Closing) -> Out:
    """Mark the upload as complete. Missing declared files are an error, or are given up."""
    give_up = json_data.missing == "give_up"
    with write_session() as session:
        if close_job(session, job_id, give_up_missing=give_up):
            record_action(session, "job.closed", job_id)
    return _job_out(job_id)


@bp.post("/api/v1/jobs/<job_id>/cancel")
@bp.output(JobOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def cancel(job_id: str) -> Out:
    """Cancel the job; finished results are kept."""
    with write_session() as session:
        if cancel_job(session, job_id):
            record_action(session, "job.cancelled", job_id)
    cancel_images(current_context(), job_id)
    return _job_out(job_id)


@bp.post("/api/v1/jobs/<job_id>/retry")
@bp.input(Retrying)
@bp.output(RetriedOut)
@bp.doc(responses=[409])
@needs(Role.OPERATOR)
def retry(job_id: str, json_data: Retrying) -> RetriedOut:
    """Retry images whose files are still stored. A cancelled job is resumed."""
    with write_session() as session:
        lift_cancellation(session, job_id)
        record_action(session, "job.retried", job_id)
    retried, left = retry_images(current_context(), job_id, which=json_data.which)
    return RetriedOut(retried=retried, left=left, job=_progress(job_id))


@bp.get("/api/v1/jobs/<job_id>/images")
@bp.input(ImagesQuery, location="query")
@bp.output(ImagesOut)
@needs(Role.VIEWER)
def images(job_id: str, query_data: ImagesQuery) -> ImagesOut:
    """List a job's images in order of arrival, all or those in one state."""
    with read_session() as session:
        require_job(session, job_id)
        found = list_results(
            session,
            operating_point=current_settings().operating_point,
            prevalence=current_settings().prevalence,
            job_id=job_id,
            state=query_data.state,
            page=query_data.page,
            page_size=IMAGES_PAGE_SIZE,
        )
    record_part_of_job(job_id)
    return ImagesOut(images=found.items, next=found.next)


def describe_requests(spec: dict[str, Any]) -> dict[str, Any]:
    """APIFlask cannot see the form, since its parts go to disk one by one, nor a header."""
    prefer = {"type": "string", "examples": ["wait=4"]}
    spec["paths"]["/api/v1/jobs/{job_id}"]["get"]["parameters"].append(
        {"in": "header", "name": "Prefer", "required": False, "schema": prefer}
    )
    operation = spec["paths"]["/api/v1/jobs/{job_id}/files"]["post"]
    operation["requestBody"] = {"content": {FORM: {"schema": _PARTS}}}
    return spec


@bp.app_errorhandler(NoJobError)
def _no_job(_: NoJobError) -> Response:
    return answer(404, "job not found")


@bp.app_errorhandler(JobStateError)
def _wrong_state(error: JobStateError) -> Response:
    return answer(409, str(error))


def _sent_file(part: FileStorage) -> SentFile:
    """The form's parser has stored the part; the request deletes it."""
    stream = cast(SpooledTemporaryFile[bytes], part.stream)
    sha256, size = hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()
    stream.seek(0)
    declared = Declared(clean_file_name(part.filename or ""), size, sha256)
    return SentFile(declared, cast(BinaryIO, stream))


def _job_out(job_id: str) -> Out:
    job = _progress(job_id)
    return JobOut.of(job, waiting_for=_waiting_for(job))


def _waiting_for(job: JobProgress) -> Waiting | None:
    if not job.received and not job.ready:
        return None
    return why_waiting(
        current_readiness().states(),
        received=job.received,
        ready=job.ready,
        one_step=current_context().settings.one_step,
    )


def _progress(job_id: str) -> JobProgress:
    with read_session() as session:
        return job_progress(session, job_id)
