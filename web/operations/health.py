"""Health checks for load balancers and supervisors, without a login: up or down per component."""

from typing import Any

from apiflask import APIBlueprint

from web.auth.rules import open_to_all
from web.http.schemas import Out
from web.operations.schemas import AliveOut, HealthOut, ReadinessOut
from web.readiness import PARTS, current_readiness

bp = APIBlueprint("health", __name__, tag="Health")

WHY = "load balancers have no login; it only says up or down, and short codes"


def _down(fields: type[Out], words: str) -> dict[int | str, Any]:
    """Also then the answer has these fields, and is no problem's details."""
    reference = {"$ref": f"#/components/schemas/{fields.__name__}"}
    return {503: {"description": words, "content": {"application/json": {"schema": reference}}}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_down(HealthOut, "Database or broker does not respond"))
@open_to_all(WHY)
def show() -> tuple[HealthOut, int]:
    """Check that database and broker respond."""
    states = current_readiness().states()
    database, broker = states.is_up("database"), states.is_up("broker")
    well = database and broker
    health = HealthOut(status="ok" if well else "unhealthy", database=database, broker=broker)
    return health, 200 if well else 503


@bp.get("/healthz")
@bp.output(AliveOut)
@open_to_all(WHY)
def alive() -> AliveOut:
    """The process responds. Nothing else is checked, so that a waiting one is not restarted."""
    return AliveOut(status="up")


@bp.get("/readyz")
@bp.output(ReadinessOut)
@bp.doc(responses=_down(ReadinessOut, "Images that are sent now will wait"))
@open_to_all(WHY)
def ready() -> tuple[Out, int]:
    """Whether images that are sent now will be predicted."""
    states = current_readiness().states()
    parts = {part: "up" if states.is_up(part) else "down" for part in PARTS}
    status = "up" if states.is_ready else "down"
    answer = {"status": status, "reasons": states.reasons, **parts}
    return ReadinessOut.model_validate(answer), 200 if states.is_ready else 503
