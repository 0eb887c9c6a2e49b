"""The study page while its image is being drawn."""

import threading

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import Environment, ServedPortal
from tests.support.web.pages import enter, new_page
from tests.support.web.portal import Portal

pytestmark = pytest.mark.browser

IS_SHOWN = "image => image.complete && image.naturalWidth > 0"


def add_study(portal: Portal, *, seed: int) -> str:
    """Returns the path of its page."""
    portal.send(portal.new_job(), (f"{seed}/a.png", a_png(seed=seed)))
    portal.read_all()
    return f"/studies/{portal.images()[-1].study_id}"


def open_page(page: Page, service: ServedPortal, path: str) -> None:
    enter(page, service.url, service.portal.token(kind="login"))
    page.goto(f"{service.url}{path}")


def test_page_waits_for_an_image_that_is_being_drawn(
    browser: Browser, service: ServedPortal
) -> None:
    is_drawn = threading.Event()

    def handle(environ: Environment) -> int | None:
        is_display = environ["PATH_INFO"].endswith("/display")
        return 503 if is_display and not is_drawn.is_set() else None

    service.interceptor.handler = handle
    with new_page(browser) as page:
        open_page(page, service, add_study(service.portal, seed=1))
        radiograph, note = page.locator("#radiograph"), page.locator(".loading")
        expect(note).to_have_text("Loading chest radiograph …")
        expect(radiograph).to_have_css("visibility", "hidden")  # no icon of a broken image
        is_drawn.set()
        expect(radiograph).to_have_css("visibility", "visible")
        expect(note).to_have_count(0)
        assert radiograph.evaluate(IS_SHOWN)
        assert service.interceptor.sent("GET", "display") >= 3


def test_page_says_why_an_image_cannot_be_shown(browser: Browser, service: ServedPortal) -> None:
    path = add_study(service.portal, seed=2)
    stored = service.portal.images()[-1].stored_sha256
    service.portal.context.store.delete(str(stored), area="stored")
    with new_page(browser, ignored="status of 404") as page:
        open_page(page, service, path)
        expect(page.locator(".loading")).to_have_text("no pixels to show: the file is missing")
        expect(page.locator("#radiograph")).to_have_css("visibility", "hidden")
