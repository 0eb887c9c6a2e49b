"""The page of unknown words: what it shows to whom, and what a choice does."""

import re

import pytest

from models.intake.terms import Sighting, count_terms, local_terms
from models.tables.people import Role
from tests.support.data.rows import a_term
from tests.support.servers.databases import both_databases
from tests.support.web.portal import Portal, proof

# Pages and exports of others, which never show a word.
OTHERS = ("/", "/studies", "/labels", "/about", "/metrics", "/api/v1/results", "/api/v1/audit")


@pytest.fixture
def two_words(portal: Portal) -> Portal:
    with portal.database.sessions.begin() as session:
        a_term(session, "SNARK")
        a_term(session, "OPSTAAND", keyword="ViewPosition")
        count_terms(session, [Sighting("BodyPartExamined", "DOE", "anna")], key=b"a key")
    return portal


def test_page_shows_words_of_several_patients_to_admins(two_words: Portal) -> None:
    page = two_words.browser(Role.ADMIN).get("/terms").text
    assert re.findall(r'scope="row">(.*?)</th>', page) == ["SNARK", "OPSTAAND"]
    assert ">the chest: read<" in page
    assert ">a frontal view: read<" in page
    assert "DOE" not in page
    admin = two_words.program(Role.ADMIN)
    for path in OTHERS:
        assert "SNARK" not in admin.get(path).text, path
    assert two_words.browser(Role.OPERATOR).get("/terms").status_code == 403


@both_databases
def test_choice_is_what_decoders_get(two_words: Portal) -> None:
    browser = two_words.browser(Role.ADMIN)
    token = proof(browser, "/terms")

    def choose(term_id: int, meaning: str) -> int:
        form = {"csrf_token": token, "meaning": meaning}
        return browser.post(f"/terms/{term_id}", data=form).status_code

    assert [choose(1, "fitting"), choose(2, "other")] == [303, 303]
    with two_words.database.sessions() as session:
        fitting = {"BodyPartExamined": {"SNARK": True}, "ViewPosition": {"OPSTAAND": False}}
        assert local_terms(session) == fitting
    page = browser.get("/terms").text
    assert re.findall(r'value="(\w+)" selected', page) == ["fitting", "other"]
    assert choose(1, "") == 303
    with two_words.database.sessions() as session:
        assert local_terms(session) == {"ViewPosition": {"OPSTAAND": False}}
    assert (choose(1, "chest"), choose(3, "other"), choose(99, "other")) == (422, 404, 404)
    changes = [row.target for row in two_words.audit() if row.action == "term.changed"]
    assert changes == ["1: none", "2: other", "1: fitting"], "newest first"


def test_change_needs_a_token_of_the_form(two_words: Portal) -> None:
    assert two_words.browser(Role.ADMIN).post("/terms/1", data={}).status_code == 400
