"""Model versions for programs: which there are, which is live, and an admin's decisions."""

from apiflask import APIBlueprint

from models.learning.deployments import ListedVersion, list_deployments, list_versions
from models.learning.promotion import production_version, roll_back_target
from models.tables.people import Role
from web.auth.rules import needs
from web.context import read_session
from web.learning import promotions as decisions
from web.learning.schemas import (
    DeploymentOut,
    MovedOut,
    Promotion,
    RollBack,
    VersionOut,
    VersionsOut,
)
from web.learning.wording import version_status

bp = APIBlueprint("versions", __name__, tag="Model versions")

MOST = 1000  # a night makes one at most: that is years


@bp.get("/api/v1/model-versions")
@bp.output(VersionsOut)
@needs(Role.VIEWER)
def index() -> VersionsOut:
    """Every model version, newest first, with its card; who is live, and the history of that."""
    with read_session() as session:
        live, back = production_version(session), roll_back_target(session)
        return VersionsOut(
            model_versions=[
                _out(listed) for listed in list_versions(session, page_size=MOST).items
            ],
            live=live.name if live else None,
            back=back.name if back else None,
            history=[DeploymentOut.model_validate(one) for one in list_deployments(session)],
        )


@bp.post("/api/v1/model-versions/<name>/promote")
@bp.input(Promotion)
@bp.output(MovedOut)
@needs(Role.ADMIN)
def promote(name: str, json_data: Promotion) -> MovedOut:
    """This version answers from now on."""
    decisions.promote(name, **json_data.model_dump())
    return _moved()


@bp.post("/api/v1/model-versions/<name>/reject")
@bp.output(MovedOut)
@needs(Role.ADMIN)
def reject(name: str) -> MovedOut:
    """An admin's no to a night's candidate. What is live stays live."""
    decisions.reject_candidate(name)
    return _moved()


@bp.post("/api/v1/roll-back")
@bp.input(RollBack)
@bp.output(MovedOut)
@needs(Role.ADMIN)
def roll_back(json_data: RollBack) -> MovedOut:
    """One step back, to the version that was live before."""
    decisions.roll_back(**json_data.model_dump())
    return _moved()


def _moved() -> MovedOut:
    with read_session() as session:
        live, back = production_version(session), roll_back_target(session)
    return MovedOut(live=live.name if live else "", back=back.name if back else None)


def _out(listed: ListedVersion) -> VersionOut:
    version = listed.version
    return VersionOut(
        name=version.name,
        created_at=version.created_at,
        is_production=listed.is_live,
        night_id=listed.night.id if listed.night else None,
        status=version_status(listed),
        card=version.card,
    )
