"""Pages: their text, and browser pages that must have no errors."""

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient
from playwright.sync_api import Browser, ConsoleMessage, Page


def words(client: FlaskClient, path: str) -> str:
    """The text of the page's main part, without tags, in one line."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    text = re.sub(r"<[^>]+>", " ", page.text[page.text.index("<main") :])
    return re.sub(r"\s+", " ", html.unescape(text))


def get_picture(client: Any, path: str) -> Any:
    """Ask again, as pages do, while it is being drawn."""
    for _ in range(60):
        answer = client.get(path)
        if answer.status_code != 503:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{path} was not drawn in time")


def enter(page: Page, url: str, login_token: str) -> None:
    """Log in by link. Its script posts a form, which the next navigation must not overtake."""
    page.goto(f"{url}/login/link#{login_token}")
    page.wait_for_url(lambda address: "/login" not in address)


@contextmanager
def new_page(browser: Browser, *, ignored: str | None = None, **context: Any) -> Iterator[Page]:
    """A page with cookies of its own and without errors, except those with the ignored text."""
    errors: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if "status of 503" in message.text and "/api/v1/images/" in message.location["url"]:
            return  # the page asks again for a picture that is being drawn
        if message.type == "error" and (ignored is None or ignored not in message.text):
            errors.append(message.text)

    with browser.new_context(**context) as opened:
        page = opened.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", record)
        yield page
    assert errors == []
