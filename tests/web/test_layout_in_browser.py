"""Layout: long names fit, and the focus stays visible."""

import pytest
from playwright.sync_api import Browser

from models.people.tokens import issue_token
from models.tables.people import Role
from tests.support.data.rows import a_user
from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import ServedPortal
from tests.support.web.pages import enter, new_page

pytestmark = pytest.mark.browser

WITHIN_MS = 30_000
LONGEST = "w" * 80
FITS = "() => document.documentElement.scrollWidth <= innerWidth"
BUTTONS_ARE_SEEN = """() => {
    const parts = [...document.querySelectorAll(".row-actions .confirm[open] *")];
    return parts.length && parts.every((one) => one.getBoundingClientRect().right <= innerWidth);
}"""
CLEAR_OF_NOTICE = """(place) => {
    const links = [...document.querySelectorAll(".worklist td.label a")];
    const { bottom } = document.activeElement.getBoundingClientRect();
    return document.activeElement === links[place]
        && bottom <= document.querySelector(".notice").getBoundingClientRect().top;
}"""


def test_longest_user_name_fits_every_page(browser: Browser, service: ServedPortal) -> None:
    with service.portal.database.sessions.begin() as session:
        person = a_user(session, name=LONGEST, role=Role.ADMIN)
        login = issue_token(session, user=person, kind="login")
        invitation = issue_token(session, user=person, kind="invitation")
    with new_page(browser, viewport={"width": 390, "height": 844}) as page:
        page.goto(f"{service.url}/welcome#{invitation}")
        page.locator("[name=again]").wait_for()
        page.wait_for_function(FITS, timeout=WITHIN_MS)
        enter(page, service.url, login)
        for path in ("/account", "/users"):
            page.goto(service.url + path)
            page.wait_for_function(FITS, timeout=WITHIN_MS)
        page.set_viewport_size({"width": 1366, "height": 768})
        page.locator(".row-actions summary").last.click()
        page.wait_for_function(BUTTONS_ARE_SEEN, timeout=WITHIN_MS)


def test_focused_work_list_row_is_not_behind_the_notice(
    browser: Browser, service: ServedPortal
) -> None:
    portal = service.portal
    portal.send(portal.new_job(), *((f"{n}/a.png", a_png(seed=n)) for n in range(6)))
    portal.read_all()
    with new_page(browser, viewport={"width": 1366, "height": 330}) as page:
        enter(page, service.url, portal.token(kind="login"))
        page.goto(f"{service.url}/studies")
        page.locator(".worklist td.label a").first.focus()
        for place in range(1, 6):
            page.keyboard.press("Tab")
            page.wait_for_function(CLEAR_OF_NOTICE, arg=place, timeout=WITHIN_MS)
