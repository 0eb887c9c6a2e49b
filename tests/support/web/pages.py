"""The text of a page."""

import html
import re

from flask.testing import FlaskClient


def words(client: FlaskClient, path: str) -> str:
    """The text of the page's main part, without tags, in one line."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    text = re.sub(r"<[^>]+>", " ", page.text[page.text.index("<main") :])
    return re.sub(r"\s+", " ", html.unescape(text))
