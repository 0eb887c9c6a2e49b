"""Ask for the password again before critical actions in a browser (OWASP ASVS 3.7.1).

And for a code, where the user has a second factor.
"""

from datetime import timedelta

from flask import render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden

from models.base import now
from models.people.logins import confirm_login
from models.tables.people import User
from web.auth.credentials import admit_code, confirm
from web.auth.sessions import Person
from web.context import read_session, write_session

WITHIN = timedelta(minutes=10)
PASSWORD = "reauthentication_password"  # noqa: S105  the field's name
CODE = "reauthentication_code"
OWN_FIELDS = ("csrf_token", "username", PASSWORD, CODE)


class RequiredError(Forbidden):
    """For scripts that call the API with a session."""

    description = "the password was given more than ten minutes ago: log in again"
    problem_code = "reauthentication_required"


def is_confirmed(who: Person) -> bool:
    """Whether the password was given within ten minutes, or is right in this form."""
    # The clock may have been set back since.
    if who.confirmed_at is not None and abs(now() - who.confirmed_at) <= WITHIN:
        return True
    if PASSWORD not in request.form or not confirm(who.name, request.form[PASSWORD]):
        return False
    if who.has_second_factor and not _is_code_right(who):
        return False
    with write_session() as session:
        confirm_login(session, who.login)
    return True


def _is_code_right(who: Person) -> bool:
    with read_session() as session:
        user = session.get_one(User, who.id)
    return admit_code(user, request.form.get(CODE, ""))


def ask() -> ResponseReturnValue:
    """A page with the form as it was sent, which asks for the password."""
    kept = [field for field in request.form.items(multi=True) if field[0] not in OWN_FIELDS]
    is_wrong = PASSWORD in request.form
    return render_template("reauthentication.html", is_wrong=is_wrong, kept=kept), 403
