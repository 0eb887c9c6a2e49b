"""The text of a page."""

import html
import re

from flask.testing import FlaskClient
from playwright.sync_api import ConsoleMessage, Page


def words(client: FlaskClient, path: str) -> str:
    """The text of the page's main part, without tags, in one line."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    text = re.sub(r"<[^>]+>", " ", page.text[page.text.index("<main") :])
    return re.sub(r"\s+", " ", html.unescape(text))


def record_errors(page: Page, errors: list[str], *, ignored: str | None = None) -> None:
    """Append script errors and console errors of the page, except those with the ignored text."""

    def record(message: ConsoleMessage) -> None:
        if message.type == "error" and (ignored is None or ignored not in message.text):
            errors.append(message.text)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", record)
