"""Health checks for load balancers and supervisors, without a login: up or down per component."""

from typing import Any

from apiflask import APIBlueprint
from flask.typing import ResponseReturnValue

from web.auth.rules import open_to_all
from web.operations.schemas import HealthOut
from web.readiness import PARTS, current_readiness

bp = APIBlueprint("health", __name__, tag="Health")

WHY = "load balancers have no login; it only says up or down, and short codes"
_UNWELL: dict[int | str, Any] = {503: {"description": "Database or broker does not respond"}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_UNWELL)
@open_to_all(WHY)
def show() -> tuple[HealthOut, int]:
    """Check that database and broker respond."""
    states = current_readiness().states()
    database, broker = states.is_up("database"), states.is_up("broker")
    well = database and broker
    health = HealthOut(status="ok" if well else "unhealthy", database=database, broker=broker)
    return health, 200 if well else 503


@bp.get("/healthz")
@open_to_all(WHY)
def alive() -> ResponseReturnValue:
    """The process responds. Nothing else is checked, so that a waiting one is not restarted."""
    return {"status": "up"}


@bp.get("/readyz")
@open_to_all(WHY)
def ready() -> ResponseReturnValue:
    """Whether images that are sent now will be predicted."""
    states = current_readiness().states()
    words = {part: "up" if states.is_up(part) else "down" for part in PARTS}
    status = "up" if states.is_ready else "down"
    answer = {"status": status, **words, "reasons": dict(states.reasons)}
    return answer, 200 if states.is_ready else 503
