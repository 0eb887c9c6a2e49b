"""Following a night, promoting its candidate and rolling back in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from models.learning.promotion import install_baseline
from models.tables.learning import Night, Outcome
from models.tables.people import Role
from tests.support.data.nights import SAID, a_night, a_trained_version
from tests.support.servers.portal_server import serve_app
from tests.support.web.pages import enter, new_page
from tests.support.web.portal import Portal

pytestmark = pytest.mark.browser


@pytest.fixture
def address(portal: Portal) -> Iterator[str]:
    """A portal with a running night and the shipped version in production."""
    with portal.database.sessions.begin() as session:
        install_baseline(session, data_dir=portal.database.settings.data_dir)
        a_night(session, None, stage="training", share=0.25, progress="epoch 1 of 4")
    with serve_app(portal.app) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, portal: Portal, address: str) -> Iterator[Page]:
    with new_page(browser) as page:
        enter(page, address, portal.token(Role.ADMIN, kind="login"))
        yield page


def change_night(portal: Portal, **values: object) -> None:
    """Write what the night's worker would write."""
    with portal.database.sessions.begin() as session:
        night = session.get_one(Night, 1)
        for name, value in values.items():
            setattr(night, name, value)


def refuse(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        a_trained_version(session, portal.database.settings)
    change_night(
        portal,
        candidate_id=2,
        is_open=None,
        stage="done",
        outcome=Outcome.REFUSED,
        reason=SAID[Outcome.REFUSED],
    )


def test_night_page_follows_progress_to_the_end(visit: Page, portal: Portal, address: str) -> None:
    visit.goto(f"{address}/nights/1")
    state, bar = visit.locator("#night-state"), visit.locator("#night-bar")
    expect(state).to_have_text("Training")
    change_night(portal, share=0.75, progress="epoch 3 of 4", stage="evaluation")
    expect(state).to_have_text("Comparing with the production model")
    expect(bar).to_have_js_property("value", 0.75)
    expect(visit.locator("#night-progress")).to_have_text("epoch 3 of 4")
    expect(visit.locator(".stages [aria-current]")).to_have_count(1)
    refuse(portal)
    heading = visit.get_by_role("heading", level=1)
    expect(heading).to_contain_text("refused by the gate")


def test_promotion_against_the_gate_needs_confirmation_and_rolls_back(
    visit: Page, portal: Portal, address: str
) -> None:
    refuse(portal)
    visit.goto(f"{address}/versions/night-1")
    button = visit.get_by_role("button", name="Promote night-1", exact=True)
    expect(button).to_be_hidden()
    visit.locator("summary", has_text="Promote").click()
    button.click()
    tick = visit.get_by_label("Promote despite this")
    expect(tick).to_be_focused()  # required by the browser
    expect(visit).to_have_url(f"{address}/versions/night-1")
    tick.check()
    visit.get_by_label("Reason").fill("we need it")
    button.click()
    live = visit.locator(".version-name")
    expect(live).to_have_text("night-1")
    expect(visit.locator(".history li").first).to_contain_text("we need it (against the gate")
    visit.locator("summary", has_text="Roll back").click()
    visit.get_by_role("button", name="Roll back to").click()
    expect(live).not_to_have_text("night-1")
