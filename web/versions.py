"""Model versions: what answers, and how well it did on data it had not seen."""

from apiflask import APIBlueprint
from flask import render_template

from models.versions import list_versions, production_history, production_version
from web.cards import AT_THRESHOLD, OVERALL, figure_rows, operating_points
from web.schemas import VersionOut, VersionsOut
from web.services import services

bp = APIBlueprint("versions", __name__, tag="Model versions")


@bp.get("/api/v1/model-versions")
@bp.output(VersionsOut)
def index() -> VersionsOut:
    """Every model version, newest first, with its card."""
    with services().sessions() as session:
        live = production_version(session)
        versions = [
            VersionOut(
                name=version.name,
                created_at=version.created_at,
                is_production=live is not None and version.id == live.id,
                card=version.card,
            )
            for version in list_versions(session)
        ]
    return VersionsOut(model_versions=versions)


@bp.get("/about")
@bp.doc(hide=True)
def about() -> str:
    with services().sessions() as session:
        live = production_version(session)
        history = [
            (entry.created_at, entry.model_version.name, entry.reason)
            for entry in production_history(session)[:20]
        ]
    card = live.card if live else {}
    return render_template(
        "about.html",
        version=live,
        history=history,
        points=operating_points(card),
        point_now=services().settings.operating_point,
        figure_rows=figure_rows(card),
        figure_names=OVERALL | AT_THRESHOLD,
    )
