"""Routes of re-readings: earlier images with the production version."""

from apiflask import APIBlueprint
from flask import abort, redirect, url_for
from flask.typing import ResponseReturnValue

from models.learning.promotion import production_version
from models.reading.rereadings import RereadingProgress, list_rereadings, request_rereading
from models.tables.intake import ModelVersion
from models.tables.people import Role
from web.auth.rules import needs, person, record_action
from web.context import current_settings, read_session, write_session
from web.http.limits import NIGHTS, at_most
from web.learning.schemas import RereadingOut, RereadingsOut
from worker.enqueue import nudge_reread

bp = APIBlueprint("rereadings", __name__, tag="Re-readings")


@bp.post("/rereadings")
@at_most(NIGHTS)
@needs(Role.ADMIN)
def create_page() -> ResponseReturnValue:
    _begin()
    return redirect(url_for("versions.index_page"), code=303)


@bp.get("/api/v1/rereadings")
@bp.output(RereadingsOut)
@needs(Role.VIEWER)
def index() -> RereadingsOut:
    """List re-readings and their progress, newest first."""
    return RereadingsOut(rereadings=list(_described().values()))


@bp.post("/api/v1/rereadings")
@bp.output(RereadingOut, status_code=202)
@bp.doc(responses=[409])
@at_most(NIGHTS)
@needs(Role.ADMIN)
def create() -> RereadingOut:
    """Re-read earlier images with the production version. Earlier results are kept."""
    asked_id = _begin()
    return _described()[asked_id]


def _begin() -> int:
    with write_session() as session:
        live = production_version(session)
        if live is None:
            abort(409, "no model version is in production")
        rereading = request_rereading(
            session,
            model_version_id=live.id,
            operating_point=current_settings().operating_point,
            user_id=person().id,
        )
        record_action(session, "rereading.asked", live.name)
        asked_id = rereading.id
    nudge_reread()
    return asked_id


def current() -> RereadingOut | None:
    """The re-reading with the production version at the operating point in use."""
    with read_session() as session:
        live = production_version(session)
    key = (live.name if live else None, current_settings().operating_point)
    described = _described().values()
    return next((one for one in described if (one.model_version, one.operating_point) == key), None)


def _described() -> dict[int, RereadingOut]:
    """Newest first, by id."""
    with read_session() as session:
        live = production_version(session)
        return {one.rereading.id: _out(one, live) for one in list_rereadings(session)}


def _out(progress: RereadingProgress, live: ModelVersion | None) -> RereadingOut:
    row = progress.rereading
    point = current_settings().operating_point
    is_current = live is not None and row.model_version_id == live.id
    return RereadingOut.of(
        row,
        model_version=row.model_version.name,
        is_waiting=row.finished_at is None and not (is_current and row.operating_point == point),
        done=progress.done,
        total=progress.total,
    )
