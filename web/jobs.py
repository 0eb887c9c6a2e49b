"""Jobs: send files, follow what becomes of them."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, abort, render_template, request

from models.images import known_files
from models.jobs import JobProgress, close_job, create_job, get_job, job_progress, list_jobs
from models.results import list_results
from models.tables import Role, State
from web.auth import audit, needs, person
from web.file_names import clean_file_name
from web.schemas import (
    FilesOut,
    ImagesQuery,
    JobOut,
    JobsOut,
    KnownOut,
    NewJob,
    Paging,
    ResultsOut,
    SentFiles,
)
from web.services import services
from web.upload import receive

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
    page = request.args.get("page", 1, type=int)
    with services().sessions() as session:
        jobs = list_jobs(session, page=max(page, 1), page_size=PAGE_SIZE)
    return render_template("jobs.html", jobs=jobs)


@bp.get("/jobs/<job_id>")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def show_page(job_id: str) -> str:
    return render_template("job.html", job=_progress(job_id))


@bp.get("/api/v1/jobs")
@bp.input(Paging, location="query")
@bp.output(JobsOut)
@needs(Role.VIEWER)
def list_page(query_data: Paging) -> JobsOut:
    """Jobs, newest first."""
    with services().sessions() as session:
        jobs = list_jobs(session, page=query_data.page, page_size=PAGE_SIZE)
    return JobsOut(jobs=[JobOut.model_validate(job) for job in jobs.items], next=jobs.next)


@bp.post("/api/v1/jobs")
@bp.input(NewJob)
@bp.output(JobOut, status_code=201)
@needs(Role.OPERATOR)
def create(json_data: NewJob) -> JobProgress:
    """A new job, open for files."""
    with services().sessions.begin() as session:
        job_id = create_job(session, name=json_data.name, user_id=person().id).id
    audit("job.created", job_id)
    return _progress(job_id)


@bp.get("/api/v1/jobs/<job_id>")
@bp.output(JobOut)
@needs(Role.VIEWER)
def show(job_id: str) -> JobProgress:
    """One job and how far it is."""
    return _progress(job_id)


@bp.post("/api/v1/jobs/<job_id>/files")
@bp.output(FilesOut)
@bp.doc(description="multipart/form-data with parts named `files`; a zip is unpacked.")
@needs(Role.OPERATOR)
def send(job_id: str) -> FilesOut | Response:
    """Files of a job. Sending the same file again changes nothing."""
    job = _progress(job_id)
    if job.closed_at is not None:
        abort(409, "this job is closed: make a new one for more files")
    parts = request.files.getlist("files")
    if not parts:
        abort(422, "expected multipart/form-data with parts named `files`; there is none")
    receipt = receive(services(), job_id=job_id, parts=parts)
    audit("files.received", job_id)
    return FilesOut(files=receipt.files, ignored=receipt.ignored)


@bp.post("/api/v1/jobs/<job_id>/known")
@bp.input(SentFiles)
@bp.output(KnownOut)
@needs(Role.OPERATOR)
def known(job_id: str, json_data: SentFiles) -> KnownOut:
    """Which of these files the job already has, by their place in the list."""
    _progress(job_id)
    files = [(clean_file_name(sent.file), sent.sha256) for sent in json_data.files]
    with services().sessions() as session:
        return KnownOut(known=known_files(session, job_id=job_id, files=files))


@bp.post("/api/v1/jobs/<job_id>/close")
@bp.output(JobOut)
@needs(Role.OPERATOR)
def close(job_id: str) -> JobProgress:
    """All was sent."""
    _progress(job_id)
    with services().sessions.begin() as session:
        close_job(session, job_id)
    return _progress(job_id)


@bp.get("/api/v1/jobs/<job_id>/images")
@bp.input(ImagesQuery, location="query")
@bp.output(ResultsOut)
@needs(Role.VIEWER)
def images(job_id: str, query_data: ImagesQuery) -> ResultsOut:
    """A job's images in the order of arrival, all or those in one state."""
    with services().sessions() as session:
        if get_job(session, job_id) is None:
            abort(404, NO_JOB)
        state = State(query_data.state) if query_data.state else None
        found = list_results(
            session,
            operating_point=services().settings.operating_point,
            job_id=job_id,
            state=state,
            page=query_data.page,
            page_size=IMAGES_PAGE_SIZE,
        )
    return ResultsOut.model_validate({"images": found.items, "next": found.next})


def describe_upload(spec: dict[str, Any]) -> dict[str, Any]:
    """The one body that APIFlask cannot see, since the parts go to disk one by one."""
    operation = spec["paths"]["/api/v1/jobs/{job_id}/files"]["post"]
    operation["requestBody"] = {
        "required": True,
        "content": {"multipart/form-data": {"schema": _PARTS}},
    }
    return spec


def _progress(job_id: str) -> JobProgress:
    with services().sessions() as session:
        found = job_progress(session, job_id)
    if found is None:
        abort(404, NO_JOB)
    return found
