"""What answers here, what it is for, and how to read an answer."""

from apiflask import APIBlueprint
from flask import render_template

from models.people_tables import Role
from models.version_lists import live_periods
from models.versions import production_version
from web.auth import needs
from web.services import services
from web.version_pages import card_words

bp = APIBlueprint("about", __name__)


@bp.get("/about")
@bp.doc(hide=True)
@needs(Role.VIEWER)
def show() -> str:
    with services().sessions() as session:
        live = production_version(session)
        history = live_periods(session)[:5]
    return render_template(
        "about.html", version=live, history=history, **card_words(live.card if live else {})
    )
