"""Labelling by keyboard in a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from models.learning.labels import valid_labels
from models.tables.people import Role
from tests.support.data.labelled import labels_of
from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import serve_app
from tests.support.web.pages import enter, new_page
from tests.support.web.portal import Portal

pytestmark = pytest.mark.browser


@pytest.fixture
def address(portal: Portal) -> Iterator[str]:
    """A portal with two studies: the first suspected, the second without a finding."""
    for number, finding in enumerate(("pneumonia", None)):
        portal.send(portal.new_job(), (f"ward {number}/a.png", a_png(seed=number)))
        portal.read_all(finding=finding, reason=None if finding else "unlike the training images")
    with serve_app(portal.app) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, portal: Portal, address: str) -> Iterator[Page]:
    with new_page(browser, ignored="status of 422") as page:  # the tests send this response
        enter(page, address, portal.token(Role.READER, kind="login"))
        yield page


def given(portal: Portal, image: int) -> list[str]:
    """Values of the image's labels, latest first."""
    with portal.database.sessions() as session:
        return [label.value.value for label in labels_of(session, hash_of(portal, image))]


def hash_of(portal: Portal, image: int) -> str:
    return portal.images()[image - 1].sha256


def test_keys_label_the_image_and_open_the_next_study(
    visit: Page, portal: Portal, address: str
) -> None:
    visit.goto(f"{address}/studies/1")
    shown, state = visit.locator("#label-list"), visit.locator("#label-state")
    expect(shown).to_contain_text("No labels yet.")
    visit.evaluate("window.isTheSamePage = true")
    visit.locator("body").press("c")
    expect(shown.locator(".label-now")).to_contain_text("Pneumonia")
    expect(shown).to_contain_text("a reader, reader")
    visit.locator("body").press("n")  # offered only where there is no finding
    visit.locator("body").press("x")
    expect(shown.locator(".label-now")).to_contain_text("Normal")
    expect(state).to_have_text("Saved.")
    expect(visit.locator('[data-key="x"]')).to_have_attribute("aria-pressed", "true")
    assert visit.evaluate("window.isTheSamePage")
    # Leaving at once waits for the label to be saved.
    visit.route("**/api/v1/labels", slowly)
    visit.locator("body").press("u")
    visit.locator("body").press("j")
    visit.wait_for_url("**/studies/2")
    assert given(portal, 1) == ["unusable", "normal", "pneumonia"]
    visit.locator("body").press("p")
    expect(shown.locator(".label-now")).to_contain_text("Pneumonia")
    assert given(portal, 2) == ["pneumonia"]


def slowly(route: Route) -> None:
    threading.Event().wait(0.3)
    route.continue_()


def test_unsaved_label_is_reported_and_keeps_the_page(
    visit: Page, portal: Portal, address: str
) -> None:
    visit.goto(f"{address}/studies/1")
    problem = '{"title": "not today", "status": 422}'
    answer = {"status": 422, "content_type": "application/problem+json", "body": problem}
    visit.route("**/api/v1/labels", lambda route: route.fulfill(**answer))
    visit.locator("body").press("c")
    visit.locator("body").press("j")
    expect(visit.locator("#label-state")).to_have_text(
        "Not saved: not today Click again to leave without saving."
    )
    expect(visit.locator("#label-list")).to_contain_text("No labels yet.")
    expect(visit).to_have_url(f"{address}/studies/1")
    visit.locator("body").press("j")
    visit.wait_for_url("**/studies/2")


def test_labels_page_imports_a_table(
    visit: Page, portal: Portal, address: str, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nward 0/a.png,normal\nward 9/a.png,normal\n")
    visit.goto(f"{address}/labels")
    visit.set_input_files("#csv", table)
    expect(visit.locator("#taken-words")).to_have_text("1 added · 0 unchanged · 1 rows refused.")
    expect(visit.locator("#problems li")).to_have_text("Row 3no image has this file name")
    with portal.database.sessions() as session:
        assert list(valid_labels(session)) == [hash_of(portal, 1)]
