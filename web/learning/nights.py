"""Routes of nights: list, show, start, cancel."""

from apiflask import APIBlueprint
from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from models.base import now
from models.learning.nights import cancel_night, list_nights, next_due, open_night, request_night
from models.people.users import user_names
from models.tables.learning import Night
from models.tables.people import Role
from web.auth.rules import needs, person, record_action
from web.context import current_settings, read_session, write_session
from web.http.limits import NIGHTS, at_most
from web.http.params import or_404, read_query
from web.http.schemas import Paging
from web.learning.comparisons import compared_sets
from web.learning.schemas import NightOut, NightsOut
from web.learning.wording import night_words
from worker.enqueue import nudge_train

bp = APIBlueprint("nights", __name__, tag="Nights")

PAGE_SIZE = 30


@bp.get("/nights")
@needs(Role.VIEWER)
def index_page() -> str:
    page = read_query(Paging).page
    with read_session() as session:
        return render_template(
            "nights.html",
            nights=list_nights(session, page=page, page_size=PAGE_SIZE),
            running=open_night(session),
            due=next_due(now(), current_settings()),
        )


@bp.get("/nights/<int:night_id>")
@needs(Role.VIEWER)
def show_page(night_id: int) -> str:
    with read_session() as session:
        night = or_404(session.get(Night, night_id), "night")
        return render_template(
            "night.html",
            night=night,
            names=user_names(session, (night.user_id, night.answered_by)),
            sets=compared_sets(session, night),
        )


@bp.post("/nights")
@at_most(NIGHTS)
@needs(Role.OPERATOR)
def begin_page() -> ResponseReturnValue:
    return _to_page(_begin())


@bp.post("/nights/<int:night_id>/cancel")
@needs(Role.OPERATOR)
def cancel_page(night_id: int) -> ResponseReturnValue:
    _cancel(night_id)
    return _to_page(night_id)


@bp.get("/api/v1/nights")
@bp.input(Paging, location="query")
@bp.output(NightsOut)
@needs(Role.VIEWER)
def index(query_data: Paging) -> NightsOut:
    """List nights, newest first, and when the next is due."""
    with read_session() as session:
        page = list_nights(session, page=query_data.page, page_size=PAGE_SIZE)
        nights = [_out(session, night) for night in page.items]
    due = next_due(now(), current_settings())
    return NightsOut(nights=nights, next=page.next, next_due=due)


@bp.get("/api/v1/nights/<int:night_id>")
@bp.output(NightOut)
@needs(Role.VIEWER)
def show(night_id: int) -> NightOut:
    """Show a night: its progress, or its outcome."""
    return _show(night_id)


@bp.post("/api/v1/nights")
@bp.output(NightOut, status_code=202)
@at_most(NIGHTS)
@needs(Role.OPERATOR)
def begin() -> NightOut:
    """Start a night now. Returns the running one if there is one."""
    return _show(_begin())


@bp.post("/api/v1/nights/<int:night_id>/cancel")
@bp.output(NightOut)
@needs(Role.OPERATOR)
def cancel(night_id: int) -> NightOut:
    """Cancel a night; it stops at its next step. A finished night stays unchanged."""
    _cancel(night_id)
    return _show(night_id)


def _show(night_id: int) -> NightOut:
    with read_session() as session:
        return _out(session, or_404(session.get(Night, night_id), "night"))


def _begin() -> int:
    with write_session() as session:
        night = request_night(session, user_id=person().id)
        record_action(session, "night.asked", str(night.id))
        night_id = night.id
    nudge_train()
    return night_id


def _cancel(night_id: int) -> None:
    with write_session() as session:
        or_404(session.get(Night, night_id), "night")
        cancel_night(session, night_id)
        record_action(session, "night.cancelled", str(night_id))


def _to_page(night_id: int) -> ResponseReturnValue:
    return redirect(url_for("nights.show_page", night_id=night_id), code=303)


def _out(session: Session, night: Night) -> NightOut:
    names = user_names(session, (night.user_id, night.answered_by))
    return NightOut.of(
        night,
        is_open=bool(night.is_open),
        asked_by=names.get(night.user_id or 0),
        answered_by=names.get(night.answered_by or 0),
        production=night.production.name if night.production else None,
        candidate=night.candidate.name if night.candidate else None,
        words=night_words(night),
    )
