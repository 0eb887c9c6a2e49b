"""The longest name that a person may have pushes nothing out of a page."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser

from models.people.tokens import issue_token
from models.tables.people import Role
from tests.support.data.rows import a_user
from tests.support.servers.portal_server import ServedPortal

pytestmark = pytest.mark.browser

WITHIN_MS = 30_000
LONGEST = "w" * 80
FITS = "() => document.documentElement.scrollWidth <= innerWidth"
BUTTONS_ARE_SEEN = """() => {
    const parts = [...document.querySelectorAll(".row-actions .confirm[open] *")];
    return parts.length && parts.every((one) => one.getBoundingClientRect().right <= innerWidth);
}"""


def test_longest_user_name_fits_every_page(browser: Browser, service: ServedPortal) -> None:
    with service.portal.database.sessions.begin() as session:
        person = a_user(session, name=LONGEST, role=Role.ADMIN)
        kinds = {"login": timedelta(minutes=1), "invitation": timedelta(minutes=1)}
        login, invitation = (
            issue_token(session, user=person, kind=kind, lifetime=lifetime)  # type: ignore[arg-type]
            for kind, lifetime in kinds.items()
        )
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path in (f"/welcome?token={invitation}", f"/login?token={login}&next=/account", "/users"):
        page.goto(service.url + path)
        page.wait_for_function(FITS, timeout=WITHIN_MS)
    page.set_viewport_size({"width": 1366, "height": 768})
    page.locator(".row-actions summary").last.click()
    page.wait_for_function(BUTTONS_ARE_SEEN, timeout=WITHIN_MS)
    context.close()
