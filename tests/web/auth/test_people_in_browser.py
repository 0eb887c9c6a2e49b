"""Invitation, login, token and deactivation in browsers, without console errors."""

import base64
import re

import pytest
from playwright.sync_api import Browser, expect

from models.base import now
from models.people.totp import code_at, step_at
from models.tables.people import Role
from tests.support.servers.portal_server import serve_app
from tests.support.web.pages import enter, new_page
from tests.support.web.people import PASSWORD, a_person, grow_stale
from tests.support.web.portal import Portal

pytestmark = pytest.mark.browser


def test_user_from_invitation_to_deactivation(portal: Portal, browser: Browser) -> None:
    with serve_app(portal.app) as url, new_page(browser) as admin, new_page(browser) as olga:
        enter(admin, url, portal.token(Role.ADMIN, kind="login"))
        admin.click("nav >> text=Users")
        admin.fill("[name=name]", "olga")
        admin.select_option("form[action='/users'] [name=role]", "reader")
        admin.click("text=Add and create link")
        link = admin.locator("[data-secret]")
        expect(link).to_have_text(re.compile(rf"^{re.escape(url)}/welcome#"))

        olga.goto(link.inner_text())
        olga.fill("[name=password]", PASSWORD)
        olga.fill("[name=again]", PASSWORD)
        olga.click("text=Set password and log in")
        expect(olga.locator(".who")).to_have_text("olga · reader")
        olga.click("text=Log out")
        expect(olga).to_have_url(f"{url}/login")  # the next request must not overtake it
        olga.goto(f"{url}/studies?order=label")
        olga.fill("[name=name]", "olga")
        olga.fill("[name=password]", PASSWORD)
        olga.press("[name=password]", "Enter")
        expect(olga).to_have_url(f"{url}/studies?order=label")
        olga.click(".who")
        expect(olga).to_have_url(f"{url}/account")
        olga.fill("[name=name]", "my script")
        olga.click("text=Create token")
        expect(olga.locator("[data-secret]")).to_have_text(re.compile(r"^[\w-]{43}$"))

        admin.goto(f"{url}/users")
        admin.click("text=Deactivate … >> nth=-1")
        admin.click("text=Deactivate olga")
        expect(admin.locator("tr", has_text="olga")).to_contain_text("deactivated")
        olga.goto(f"{url}/studies")
        expect(olga).to_have_url(f"{url}/login?next=/studies")


def test_second_factor_and_password_asked_again(portal: Portal, browser: Browser) -> None:
    a_person(portal, role=Role.ADMIN)
    with serve_app(portal.app) as url, new_page(browser, ignored="403") as page:
        page.goto(f"{url}/login")
        page.fill("[name=name]", "olga")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.click(".who")
        page.click("text=Set up")
        expect(page.locator(".qr-code svg")).to_be_visible()
        typed = page.locator(".secret code").inner_text().replace(" ", "")
        secret = base64.b32decode(typed)
        page.fill("[name=code]", code_at(secret, step_at(now())))
        page.click("text=Turn on")
        expect(page.locator(".recovery-codes")).to_have_text(re.compile(r"([a-z2-7-]{19}\s*){10}"))
        recovery_code = page.locator(".recovery-codes").inner_text().split()[0]
        page.click("text=Log out")
        page.fill("[name=name]", "olga")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.fill("[name=code]", recovery_code)
        page.click("main >> text=Log in")
        expect(page.locator(".who")).to_have_text("olga · admin")

        grow_stale(portal)
        page.goto(f"{url}/users")
        page.fill("[name=name]", "ada")
        page.click("text=Add and create link")
        page.fill("[name=reauthentication_password]", PASSWORD)
        page.fill("[name=reauthentication_code]", code_at(secret, step_at(now()) + 1))
        page.click("text=Continue")
        expect(page.locator("tr", has_text="ada")).to_contain_text("viewer")
