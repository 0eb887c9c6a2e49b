"""With the keyboard alone: what has the focus can be seen."""

import pytest
from playwright.sync_api import Browser

from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import ServedPortal

pytestmark = pytest.mark.browser

WITHIN_MS = 30_000
CLEAR_OF_NOTICE = """(place) => {
    const links = [...document.querySelectorAll(".worklist td.label a")];
    const { bottom } = document.activeElement.getBoundingClientRect();
    return document.activeElement === links[place]
        && bottom <= document.querySelector(".notice").getBoundingClientRect().top;
}"""


def test_focused_work_list_row_is_not_behind_the_notice(browser: Browser, service: ServedPortal) -> None:
    portal = service.portal
    portal.send(portal.new_job(), *((f"{n}/a.png", a_png(seed=n)) for n in range(6)))
    portal.read_all()
    context = browser.new_context(viewport={"width": 1366, "height": 330})
    page = context.new_page()
    link = portal.token(kind="login")
    page.goto(f"{service.url}/login?token={link}&next=/studies")
    page.locator(".worklist td.label a").first.focus()
    for place in range(1, 6):
        page.keyboard.press("Tab")
        page.wait_for_function(CLEAR_OF_NOTICE, arg=place, timeout=WITHIN_MS)
    context.close()
