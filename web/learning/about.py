"""About this service, what it is for, and how to read an answer."""

from flask import Blueprint, render_template

from models.learning.deployments import list_deployments
from models.learning.promotion import production_version
from models.tables.people import Role
from web.auth.rules import needs
from web.context import read_session
from web.learning.cards import card_words

bp = Blueprint("about", __name__)


@bp.get("/about")
@needs(Role.VIEWER)
def show() -> str:
    with read_session() as session:
        live = production_version(session)
        history = list_deployments(session)[:5]
    return render_template(
        "about.html", version=live, history=history, **card_words(live.card if live else {})
    )
