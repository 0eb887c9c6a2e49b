"""Routes of model versions: list, show, promote, reject, roll back."""

from collections.abc import Iterator
from contextlib import contextmanager

from apiflask import APIBlueprint
from flask import abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from models.learning.deployments import (
    ListedVersion,
    list_deployments,
    list_versions,
    listed_version,
)
from models.learning.evaluations import evaluations_of
from models.learning.promotion import (
    GateObjectionError,
    objection,
    open_proposal,
    production_version,
    promote_as_admin,
    reject_candidate,
    roll_back_as_admin,
    roll_back_target,
)
from models.learning.versions import PromotionError, find_version
from models.tables.intake import ModelVersion
from models.tables.people import Role
from web.auth.rules import needs, needs_recent_password, person, record_action
from web.context import current_settings, read_session, write_session
from web.http.params import or_404, read_form, read_query
from web.http.schemas import Paging
from web.learning import rereadings
from web.learning.cards import card_words, evaluation_row
from web.learning.comparisons import compared_sets
from web.learning.schemas import MovedOut, Promotion, RollBack, VersionOut, VersionsOut
from web.learning.wording import version_status

bp = APIBlueprint("versions", __name__, tag="Model versions")

PAGE_SIZE = 50
HISTORY = 20
MOST = 1000  # at most one a night: years


@bp.get("/versions")
@needs(Role.VIEWER)
def index_page() -> str:
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
@needs(Role.VIEWER)
def show_page(name: str) -> str:
    with read_session() as session:
        version = _find(session, name)
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
@needs(Role.ADMIN)
@needs_recent_password
def promote_page(name: str) -> ResponseReturnValue:
    _promote(name, read_form(Promotion))
    return redirect(url_for("versions.index_page"), code=303)


@bp.post("/versions/<name>/reject")
@needs(Role.ADMIN)
def reject_page(name: str) -> ResponseReturnValue:
    _reject(name)
    return redirect(url_for("versions.index_page"), code=303)


@bp.post("/roll-back")
@needs(Role.ADMIN)
@needs_recent_password
def roll_back_page() -> ResponseReturnValue:
    _roll_back(read_form(RollBack))
    return redirect(url_for("versions.index_page"), code=303)


@bp.get("/api/v1/model-versions")
@bp.output(VersionsOut)
@needs(Role.VIEWER)
def index() -> VersionsOut:
    """List model versions with their cards, newest first, and the production history."""
    with read_session() as session:
        live, back = production_version(session), roll_back_target(session)
        listed = list_versions(session, page_size=MOST).items
        return VersionsOut(
            model_versions=[_out(one) for one in listed],
            live=live.name if live else None,
            back=back.name if back else None,
            history=list_deployments(session),
        )


@bp.post("/api/v1/model-versions/<name>/promote")
@bp.input(Promotion)
@bp.output(MovedOut)
@bp.doc(responses=[409])
@needs(Role.ADMIN)
@needs_recent_password
def promote(name: str, json_data: Promotion) -> MovedOut:
    """Promote a version to production."""
    return _promote(name, json_data)


@bp.post("/api/v1/model-versions/<name>/reject")
@bp.output(MovedOut)
@bp.doc(responses=[409])
@needs(Role.ADMIN)
def reject(name: str) -> MovedOut:
    """Reject a candidate. Production does not change."""
    return _reject(name)


@bp.post("/api/v1/roll-back")
@bp.input(RollBack)
@bp.output(MovedOut)
@bp.doc(responses=[409])
@needs(Role.ADMIN)
@needs_recent_password
def roll_back(json_data: RollBack) -> MovedOut:
    """Roll back to the previous production version."""
    return _roll_back(json_data)


def _promote(name: str, wanted: Promotion) -> MovedOut:
    with _deciding() as session:
        has_moved = promote_as_admin(
            session,
            _find(session, name),
            settings=current_settings(),
            user_id=person().id,
            reason=wanted.reason,
            despite_refusal=wanted.despite_refusal,
            expected_live=wanted.live,
        )
        if has_moved:
            record_action(session, "version.promoted", name)
        return _moved(session)


def _reject(name: str) -> MovedOut:
    with _deciding() as session:
        reject_candidate(session, _find(session, name), user_id=person().id)
        record_action(session, "version.rejected", name)
        return _moved(session)


def _roll_back(wanted: RollBack) -> MovedOut:
    with _deciding() as session:
        target = roll_back_as_admin(
            session,
            settings=current_settings(),
            user_id=person().id,
            expected_live=wanted.live,
            reason=wanted.reason,
        )
        record_action(session, "version.rolled-back", target.name)
        return _moved(session)


@contextmanager
def _deciding() -> Iterator[Session]:
    try:
        with write_session() as session:
            yield session
    except GateObjectionError as error:
        why = str(error).removesuffix(".")
        abort(409, f"{why}; to promote it anyway, set despite_refusal")
    except PromotionError as error:
        abort(409, str(error))


def _find(session: Session, name: str) -> ModelVersion:
    return or_404(find_version(session, name), "model version")


def _moved(session: Session) -> MovedOut:
    live, back = production_version(session), roll_back_target(session)
    return MovedOut(live=live.name if live else "", back=back.name if back else None)


def _out(listed: ListedVersion) -> VersionOut:
    return VersionOut.of(
        listed.version,
        is_production=listed.is_live,
        night_id=listed.night.id if listed.night else None,
        status=version_status(listed),
    )
