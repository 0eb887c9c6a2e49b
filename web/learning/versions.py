"""API of model versions: list, promote, reject, roll back."""

from apiflask import APIBlueprint

from models.learning.deployments import ListedVersion, list_deployments, list_versions
from models.learning.promotion import production_version, roll_back_target
from models.tables.people import Role
from web.auth.rules import needs
from web.context import read_session
from web.learning import promotions as decisions
from web.learning.schemas import MovedOut, Promotion, RollBack, VersionOut, VersionsOut
from web.learning.wording import version_status

bp = APIBlueprint("versions", __name__, tag="Model versions")

MOST = 1000  # at most one a night: years


@bp.get("/api/v1/model-versions")
@bp.output(VersionsOut)
@needs(Role.VIEWER)
def index() -> VersionsOut:
    """List model versions with their cards, newest first, and the production history."""
    with read_session() as session:
        live, back = production_version(session), roll_back_target(session)
        return VersionsOut(
            model_versions=[
                _out(listed) for listed in list_versions(session, page_size=MOST).items
            ],
            live=live.name if live else None,
            back=back.name if back else None,
            history=list_deployments(session),
        )


@bp.post("/api/v1/model-versions/<name>/promote")
@bp.input(Promotion)
@bp.output(MovedOut)
@needs(Role.ADMIN)
def promote(name: str, json_data: Promotion) -> MovedOut:
    """Promote a version to production."""
    decisions.promote(name, **json_data.model_dump())
    return _moved()


@bp.post("/api/v1/model-versions/<name>/reject")
@bp.output(MovedOut)
@needs(Role.ADMIN)
def reject(name: str) -> MovedOut:
    """Reject a candidate. Production does not change."""
    decisions.reject_candidate(name)
    return _moved()


@bp.post("/api/v1/roll-back")
@bp.input(RollBack)
@bp.output(MovedOut)
@needs(Role.ADMIN)
def roll_back(json_data: RollBack) -> MovedOut:
    """Roll back to the previous production version."""
    decisions.roll_back(**json_data.model_dump())
    return _moved()


def _moved() -> MovedOut:
    with read_session() as session:
        live, back = production_version(session), roll_back_target(session)
    return MovedOut(live=live.name if live else "", back=back.name if back else None)


def _out(listed: ListedVersion) -> VersionOut:
    return VersionOut.of(
        listed.version,
        is_production=listed.is_live,
        night_id=listed.night.id if listed.night else None,
        status=version_status(listed),
    )
