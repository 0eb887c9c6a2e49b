"""Pages say what is so, also where there is nothing to show."""

import re

from models.learning.promotion import install_baseline, production_version
from models.tables.people import Role
from tests.support.web.pages import words
from tests.support.web.people import submit
from tests.support.web.portal import Portal


def test_empty_work_list_gives_the_reason(portal: Portal) -> None:
    client, job = portal.browser(), portal.new_job()
    assert "No studies yet." in words(client, "/studies")
    assert "No studies with this finding." in words(client, "/studies?finding=normal")
    assert "No studies of this job have been read yet." in words(client, f"/studies?job_id={job}")


def test_refused_user_name_stays_in_the_form(portal: Portal) -> None:
    admin = portal.browser(Role.ADMIN)
    answer = submit(admin, "/users", page="/users", name="Dr. Olga", role="reader")
    assert answer.status_code == 409
    assert 'role="alert">A name is made of letters' in answer.text
    assert 'value="Dr. Olga"' in answer.text
    assert "<option selected>reader</option>" in answer.text
    assert "New link" in answer.text, "it is the page of all users"


def test_shipped_version_shows_when_it_was_installed_and_created(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        install_baseline(session, data_dir=portal.context.settings.data_dir)
        live = production_version(session)
    assert live is not None
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    shown = words(portal.browser(), f"/versions/{live.name}")
    assert re.search(f"Installed {date} ?; shipped with the project", shown)
    assert re.search(f"Created {date}", shown), "as all other times are written"
