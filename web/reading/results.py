"""Results as files: streamed, however many."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

from apiflask import APIBlueprint
from flask import Response, stream_with_context

from models.intake.jobs import require_job
from models.reading.results import Result, iter_results
from models.tables.people import Role
from web.auth.rules import audit, needs
from web.context import current_context
from web.http.csv import csv_line
from web.http.schemas import ResultsQuery

bp = APIBlueprint("results", __name__, tag="Results")

COLUMNS = [field.name for field in fields(Result)]
MEDIA_TYPES = {
    "jsonl": "application/jsonl",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
ROWS_A_WRITE = 200

_CONTENT: dict[str, Any] = {
    media_type.split(";")[0]: {"schema": {}} for media_type in MEDIA_TYPES.values()
}
_RESPONSES: dict[int | str, Any] = {
    200: {"description": "One result for each image", "content": _CONTENT}
}


@bp.get("/api/v1/results")
@bp.input(ResultsQuery, location="query")
@bp.doc(responses=_RESPONSES)
@needs(Role.VIEWER)
def export(query_data: ResultsQuery) -> Response:
    """Every result, or one job's, as JSON lines, JSON or CSV."""
    if query_data.job_id is not None:
        with current_context().sessions() as session:
            require_job(session, query_data.job_id)
    audit("results.exported", query_data.job_id or "all")
    write = {"jsonl": _jsonl, "json": _json, "csv": _csv}[query_data.format]
    lines = joined(write(_read(query_data.job_id)))
    answer = Response(stream_with_context(lines), content_type=MEDIA_TYPES[query_data.format])
    name = f"overread-research-use-only.{query_data.format}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _read(job_id: str | None) -> Iterator[Result]:
    with current_context().sessions() as session:
        point = current_context().settings.operating_point
        yield from iter_results(session, operating_point=point, job_id=job_id)


def _jsonl(results: Iterable[Result]) -> Iterator[str]:
    for result in results:
        yield json.dumps(asdict(result)) + "\n"


def _json(results: Iterable[Result]) -> Iterator[str]:
    yield '{"results": ['
    between = "\n"
    for result in results:
        yield between + json.dumps(asdict(result))
        between = ",\n"
    yield "\n]}\n"


def _csv(results: Iterable[Result]) -> Iterator[str]:
    yield csv_line(COLUMNS)
    for result in results:
        yield csv_line(asdict(result).values())


def joined(lines: Iterable[str]) -> Iterator[str]:
    """Fewer, larger writes: each costs a trip through the server's stack."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) >= ROWS_A_WRITE:
            yield "".join(waiting)
            waiting.clear()
    yield "".join(waiting)
