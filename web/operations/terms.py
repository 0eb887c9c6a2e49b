"""The page of unknown words, for admins only: a word may be a name, so the API has none."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from models.intake.terms import MIN_PATIENTS, list_terms, set_meaning
from models.tables.people import Role
from web.auth.rules import needs, record_action
from web.context import read_session, write_session
from web.http.params import or_404, read_form
from web.operations.schemas import TermChange

bp = Blueprint("terms", __name__)

NAMES = {"BodyPartExamined": "Body Part Examined", "ViewPosition": "View Position"}
FITTING = {"BodyPartExamined": "the chest", "ViewPosition": "a frontal view"}
OTHER = {"BodyPartExamined": "another part", "ViewPosition": "another view"}


@bp.get("/terms")
@needs(Role.ADMIN)
def index_page() -> str:
    with read_session() as session:
        terms = list_terms(session)
    words = {"names": NAMES, "fitting": FITTING, "other": OTHER, "min_patients": MIN_PATIENTS}
    return render_template("terms.html", terms=terms, **words)


@bp.post("/terms/<int:term_id>")
@needs(Role.ADMIN)
def change_page(term_id: int) -> ResponseReturnValue:
    meaning = read_form(TermChange).meaning
    with write_session() as session:
        or_404(set_meaning(session, term_id, meaning), "term")
        # Without the word, since audit rows are never deleted.
        what = meaning.value if meaning else "none"
        record_action(session, "term.changed", f"{term_id}: {what}")
    return redirect(url_for("terms.index_page"), code=303)
