"""Is it alive, is it well? For load balancers and supervisors, which have no login."""

from typing import Any

from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from web.auth import open_to_all
from web.readiness import is_database_up, is_ready, states
from web.schemas import HealthOut
from web.services import services
from worker.enqueue import is_broker_up

bp = APIBlueprint("health", __name__, tag="Health")

WHY = "load balancers have no login; it says nothing but up or down"
_UNWELL: dict[int | str, Any] = {503: {"description": "Database or broker does not answer"}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_UNWELL)
@open_to_all(WHY)
def show() -> tuple[HealthOut, int]:
    """Whether database and broker answer."""
    database, broker = is_database_up(services()), is_broker_up()
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
    found = states(services())
    well = is_ready(found)
    return {"status": "up" if well else "down", **found}, 200 if well else 503
