"""Is it alive, is it well? For load balancers and supervisors, which have no login."""

from typing import Any, cast

from apiflask import APIBlueprint
from flask import current_app
from flask.typing import ResponseReturnValue

from web.auth import open_to_all
from web.readiness import Word, is_ready, states
from web.recent import Recent
from web.schemas import HealthOut
from web.services import services

bp = APIBlueprint("health", __name__, tag="Health")

KEY = "overread-states"
LASTS_S = 1.0  # strangers may ask as often as they like
WHY = "load balancers have no login; it says nothing but up or down"
_UNWELL: dict[int | str, Any] = {503: {"description": "Database or broker does not answer"}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_UNWELL)
@open_to_all(WHY)
def show() -> tuple[HealthOut, int]:
    """Whether database and broker answer."""
    found = _states()
    database, broker = found["database"] == "up", found["broker"] == "up"
    well = database and broker
    health = HealthOut(status="ok" if well else "unhealthy", database=database, broker=broker)
    return health, 200 if well else 503


@bp.get("/healthz")
@bp.doc(hide=True)
@open_to_all(WHY)
def alive() -> ResponseReturnValue:
    """This process answers. It looks at nothing: what only waits must not be restarted."""
    return {"status": "up"}


@bp.get("/readyz")
@bp.doc(hide=True)
@open_to_all(WHY)
def ready() -> ResponseReturnValue:
    found = _states()
    well = is_ready(found)
    return {"status": "up" if well else "down", **found}, 200 if well else 503


def _states() -> dict[str, Word]:
    """As they were a moment ago: asking takes the database, the broker and a file."""
    new = Recent(lambda: states(services()), lasts_s=LASTS_S)
    kept = current_app.extensions.setdefault(KEY, new)
    return cast(Recent[dict[str, Word]], kept).get()
