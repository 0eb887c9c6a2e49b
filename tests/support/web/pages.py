"""What a person reads on a page."""

import html
import re

from flask.testing import FlaskClient


def words(client: FlaskClient, path: str) -> str:
    """Without tags, in one line, from the page's heading on."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    text = re.sub(r"<[^>]+>", " ", page.text[page.text.index("<main") :])
    return re.sub(r"\s+", " ", html.unescape(text))


def forms_proof(client: FlaskClient) -> str:
    """What stands in every form against forged requests."""
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]
