"""Routes of re-readings: earlier images with the production version."""

from apiflask import APIBlueprint
from flask import abort

from models.audit.log import record
from models.learning.promotion import production_version
from models.reading.rereadings import RereadingProgress, list_rereadings, request_rereading
from models.tables.intake import ModelVersion
from models.tables.people import Role
from web.auth.rules import needs, person
from web.context import current_settings, read_session, write_session
from web.learning.schemas import RereadingOut, RereadingsOut
from worker.enqueue import nudge_reread

bp = APIBlueprint("rereadings", __name__, tag="Re-readings")


@bp.get("/api/v1/rereadings")
@bp.output(RereadingsOut)
@needs(Role.VIEWER)
def index() -> RereadingsOut:
    """List re-readings and their progress, newest first."""
    return RereadingsOut(rereadings=rereadings())


@bp.post("/api/v1/rereadings")
@bp.output(RereadingOut, status_code=202)
@needs(Role.ADMIN)
def create() -> RereadingOut:
    """Re-read earlier images with the production version. Earlier results are kept."""
    return begin()


def begin() -> RereadingOut:
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
        record(session, user_id=person().id, action="rereading.asked", target=live.name)
        asked_id = rereading.id
    nudge_reread()
    return next(out for number, out in _described() if number == asked_id)


def rereadings() -> list[RereadingOut]:
    return [out for _, out in _described()]


def current() -> RereadingOut | None:
    """The re-reading with the production version at the operating point in use."""
    with read_session() as session:
        live = production_version(session)
    point = current_settings().operating_point
    name = live.name if live else None
    mine = (
        one for one in rereadings() if (one.model_version, one.operating_point) == (name, point)
    )
    return next(mine, None)


def _described() -> list[tuple[int, RereadingOut]]:
    with read_session() as session:
        live = production_version(session)
        return [(one.rereading.id, _out(one, live)) for one in list_rereadings(session)]


def _out(progress: RereadingProgress, live: ModelVersion | None) -> RereadingOut:
    row = progress.rereading
    point = current_settings().operating_point
    is_current = live is not None and row.model_version_id == live.id
    return RereadingOut(
        model_version=row.model_version.name,
        operating_point=row.operating_point,
        created_at=row.created_at,
        finished_at=row.finished_at,
        is_waiting=row.finished_at is None and not (is_current and row.operating_point == point),
        done=progress.done,
        total=progress.total,
    )
