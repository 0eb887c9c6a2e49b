"""Results as downloads: streamed, however many."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from models.intake.jobs import require_job
from models.reading.results import Result, iter_results
from models.tables.people import Role
from web.auth.rules import audit, needs
from web.context import current_settings, read_session
from web.http.export import MEDIA_TYPES, csv_line, download
from web.reading.schemas import ResultsQuery

bp = APIBlueprint("results", __name__, tag="Results")

COLUMNS = [field.name for field in fields(Result)]
_CONTENT: dict[str, Any] = {
    media_type.split(";")[0]: {"schema": {}} for media_type in MEDIA_TYPES.values()
}
_RESPONSES: dict[int | str, Any] = {
    200: {"description": "One result per image", "content": _CONTENT}
}


@bp.get("/api/v1/results")
@bp.input(ResultsQuery, location="query")
@bp.doc(responses=_RESPONSES)
@needs(Role.VIEWER)
def export(query_data: ResultsQuery) -> Response:
    """Export all results, or those of one job, as JSON lines, JSON or CSV."""
    if query_data.job_id is not None:
        with read_session() as session:
            require_job(session, query_data.job_id)
    audit("results.exported", query_data.job_id or "all")
    write = {"jsonl": _jsonl, "json": _json, "csv": _csv}[query_data.format]
    lines = write(_read(query_data.job_id))
    return download(lines, name="overread-research-use-only", kind=query_data.format)


def _read(job_id: str | None) -> Iterator[Result]:
    with read_session() as session:
        point = current_settings().operating_point
        yield from iter_results(session, operating_point=point, job_id=job_id)


def _jsonl(results: Iterable[Result]) -> Iterator[str]:
    for result in results:
        yield json.dumps(asdict(result)) + "\n"


def _json(results: Iterable[Result]) -> Iterator[str]:
    yield '{"results": ['
    separator = "\n"
    for result in results:
        yield separator + json.dumps(asdict(result))
        separator = ",\n"
    yield "\n]}\n"


def _csv(results: Iterable[Result]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for result in results:
        yield csv_line(asdict(result).values())
