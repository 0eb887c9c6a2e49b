"""Pages of model versions, and an admin's decisions by button."""

from apiflask import APIBlueprint
from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from models.learning.deployments import list_deployments, list_versions, listed_version
from models.learning.evaluations import evaluations_of
from models.learning.promotion import objection, open_proposal, production_version, roll_back_target
from models.tables.people import Role
from pipeline.evaluation.metrics import METRICS
from web.auth.rules import needs
from web.context import current_settings, read_session
from web.http.params import read_query
from web.http.schemas import Paging
from web.learning import promotions as decisions
from web.learning import rereadings
from web.learning.cards import AT_THRESHOLD, OVERALL, evaluation_row, figure_rows, operating_points
from web.learning.comparisons import compared_sets

bp = APIBlueprint("version_pages", __name__)

PAGE_SIZE = 50
HISTORY = 20


@bp.get("/versions")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def index() -> str:
    page = read_query(Paging).page
    with read_session() as session:
        live, proposal = production_version(session), open_proposal(session)
        return render_template(
            "versions.html",
            versions=list_versions(session, page=page, page_size=PAGE_SIZE),
            live=listed_version(session, live) if live else None,
            back=roll_back_target(session),
            proposal=proposal,
            against=objection(proposal, live=live),
            sets=compared_sets(session, proposal) if proposal else [],
            rereading=rereadings.current(),
            history=list_deployments(session)[:HISTORY],
        )


@bp.get("/versions/<name>")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def show(name: str) -> str:
    with read_session() as session:
        version = decisions.known_version(session, name)
        listed, live = listed_version(session, version), production_version(session)
        return render_template(
            "version.html",
            listed=listed,
            version=version,
            live=live,
            back=roll_back_target(session) if listed.is_live else None,
            against=objection(listed.night, live=live),
            sets=compared_sets(session, listed.night) if listed.night else [],
            evaluations=[(one, evaluation_row(one)) for one in evaluations_of(session, version.id)],
            **card_words(version.card),
        )


@bp.post("/versions/<name>/promote")
@bp.doc(hide=True)
@needs(Role.ADMIN)
def promote(name: str) -> ResponseReturnValue:
    form = request.form
    decisions.promote(
        name,
        reason=form.get("reason", "").strip(),
        despite_refusal=form.get("despite_refusal") == "yes",
        live=form.get("live") or None,
    )
    return _to_versions()


@bp.post("/versions/<name>/reject")
@bp.doc(hide=True)
@needs(Role.ADMIN)
def reject(name: str) -> ResponseReturnValue:
    decisions.reject_candidate(name)
    return _to_versions()


@bp.post("/roll-back")
@bp.doc(hide=True)
@needs(Role.ADMIN)
def roll_back() -> ResponseReturnValue:
    form = request.form
    decisions.roll_back(live=form.get("live", ""), reason=form.get("reason", "").strip())
    return _to_versions()


@bp.post("/rereadings")
@bp.doc(hide=True)
@needs(Role.ADMIN)
def reread() -> ResponseReturnValue:
    rereadings.begin()
    return _to_versions()


def card_words(card: dict[str, object]) -> dict[str, object]:
    """Template variables of `cards.html`."""
    return {
        "points": operating_points(card),
        "point_now": current_settings().operating_point,
        "figure_rows": figure_rows(card),
        "figure_names": {name: METRICS[name] for name in OVERALL + AT_THRESHOLD},
    }


def _to_versions() -> ResponseReturnValue:
    return redirect(url_for("version_pages.index"), code=303)
