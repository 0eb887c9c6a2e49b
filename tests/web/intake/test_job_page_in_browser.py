"""The job page reports errors in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from models.tables.people import Role
from tests.support.servers.portal_server import serve_app
from tests.support.web.pages import enter
from tests.support.web.portal import Portal

pytestmark = pytest.mark.browser

# A folder that was removed while it was dropped.
DROP = """drop => {
  const gone = { isFile: true, file: (_, refuse) => refuse(new Error("gone")) };
  const event = new Event("drop", { cancelable: true });
  event.dataTransfer = { items: [{ webkitGetAsEntry: () => gone }] };
  drop.dispatchEvent(event);
}"""


@pytest.fixture
def page(portal: Portal, browser: Browser) -> Iterator[Page]:
    """An operator's page of a job with a missing and a refused file."""
    job = portal.new_job()
    portal.send(job, ("a.zip", b"PK\x03\x04 cut off"))
    files = {"files": [{"file": "b.png", "size": 9}]}
    portal.program().post(f"/api/v1/jobs/{job}/uploads", json=files)
    with serve_app(portal.app) as url:
        page = browser.new_context().new_page()
        enter(page, url, portal.token(Role.OPERATOR, kind="login"))
        page.goto(f"{url}/jobs/{job}")
        yield page
        page.context.close()


def test_unreadable_drop_is_reported(page: Page) -> None:
    page.locator("#drop").evaluate(DROP)
    expect(page.locator("#trouble-list")).to_contain_text("The dropped files cannot be read")


def test_failed_file_list_is_reported_and_can_be_reloaded(page: Page) -> None:
    expect(page.locator("#reasons li")).to_have_count(1)
    page.route("**/uploads?*", lambda route: route.abort())
    page.get_by_text("Show files").first.click()
    files = page.locator('[data-uploads="missing"]')
    expect(files.locator("li")).to_have_text(
        "The list could not be loaded: the service does not respond."
    )
    page.unroute("**/uploads?*")
    files.get_by_text("Show more").click()
    expect(files.locator("li")).to_have_text("b.png9 B")


def test_refused_files_are_listed_after_the_service_recovers(page: Page) -> None:
    page.route("**/images?*", lambda route: route.abort())
    page.reload()
    expect(page.locator("#state")).to_contain_text("does not respond")
    page.unroute("**/images?*")
    expect(page.locator("#reasons li")).to_have_count(1)
