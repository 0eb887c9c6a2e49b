"""Is it well? For load balancers, which have no login."""

import logging
from typing import Any

from apiflask import APIBlueprint
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from web.auth import open_to_all
from web.schemas import HealthOut
from web.services import services
from worker.enqueue import is_broker_up

log = logging.getLogger(__name__)

bp = APIBlueprint("health", __name__, tag="Health")

_UNWELL: dict[int | str, Any] = {503: {"description": "Database or broker does not answer"}}


@bp.get("/health")
@bp.output(HealthOut)
@bp.doc(responses=_UNWELL)
@open_to_all("load balancers have no login; it says nothing but up or down")
def show() -> tuple[HealthOut, int]:
    database, broker = _is_database_up(), is_broker_up()
    well = database and broker
    health = HealthOut(status="ok" if well else "unhealthy", database=database, broker=broker)
    return health, 200 if well else 503


def _is_database_up() -> bool:
    try:
        with services().sessions() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        log.error("database does not answer: %s", type(error).__name__)
        return False
    return True
