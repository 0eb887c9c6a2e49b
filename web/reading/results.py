"""Results as downloads: streamed, however many."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from apiflask import APIBlueprint
from flask import Response

from models.intake.jobs import require_job
from models.reading.results import Result, iter_results
from models.tables.people import Role
from web.auth.rules import needs
from web.context import current_settings, read_session
from web.http.export import MEDIA_TYPES, csv_lines, described, download, json_lines
from web.http.limits import EXPORTS, at_most
from web.reading.schemas import ResultsQuery

bp = APIBlueprint("results", __name__, tag="Results")


@bp.get("/api/v1/results")
@bp.input(ResultsQuery, location="query")
@bp.doc(responses=described("One result per image", *MEDIA_TYPES) | {404: {}})
@at_most(EXPORTS)
@needs(Role.VIEWER)
def export(query_data: ResultsQuery) -> Response:
    """Export all results, or those of one job, as JSON lines, JSON or CSV."""
    if query_data.job_id is not None:
        with read_session() as session:
            require_job(session, query_data.job_id)
    results = _read(query_data.job_id)
    lines = {
        "jsonl": json_lines(results),
        "json": _json(results),
        "csv": csv_lines(Result, results),
    }
    kind = query_data.format
    return download(
        lines[kind],
        name="overread-research-use-only",
        kind=kind,
        action="results.exported",
        target=query_data.job_id or "all",
    )


def _read(job_id: str | None) -> Iterator[Result]:
    with read_session() as session:
        settings = current_settings()
        yield from iter_results(
            session,
            operating_point=settings.operating_point,
            prevalence=settings.prevalence,
            job_id=job_id,
        )


def _json(results: Iterable[Result]) -> Iterator[str]:
    yield '{"results": ['
    separator = "\n"
    for result in results:
        yield separator + json.dumps(asdict(result))
        separator = ",\n"
    yield "\n]}\n"
