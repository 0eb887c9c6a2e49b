"""Pages say what is so, also where there is nothing to show."""

import re

import pytest

from models.versions import install_baseline, production_version
from tests.web.pages import words
from tests.web.portal import Portal

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_an_empty_work_list_says_why(portal: Portal) -> None:
    client, job = portal.browser(), portal.new_job()
    assert "No studies here." in words(client, "/studies")
    assert "No studies here with this finding." in words(client, "/studies?finding=normal")
    assert "Of this job no study could be read so far." in words(client, f"/studies?job_id={job}")


def test_a_version_that_ships_with_the_project_was_not_made_here(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        install_baseline(session, data_dir=portal.services.settings.data_dir)
        live = production_version(session)
    assert live is not None
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    shown = words(portal.browser(), f"/versions/{live.name}")
    assert re.search(f"Here since {date} ?; ships with the project", shown)
    assert re.search(f"Card of {date}", shown), "as all other times are written"
