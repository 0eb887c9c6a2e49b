"""The portal below a path of a declared proxy (X-Forwarded-Prefix)."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from werkzeug.test import Client

from models.tables.people import Role
from tests.support.data.uploads import a_png
from tests.support.servers.command import run
from tests.support.servers.databases import Database
from tests.support.servers.portal_server import serve_app
from tests.support.web.pages import enter, new_page
from tests.support.web.people import PASSWORD, a_person
from tests.support.web.portal import Portal, proof
from web.app import create_app
from web.context import KEY
from web.http.openapi import PATH

PREFIX = "/overread"
LINKS = re.compile(r'(href|src|action)="([^"]*)"')


class Proxy:
    """Strips the prefix from paths and states it, as nginx would; answers 404 to other paths."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{PREFIX}/"):
            start_response("404 ", [("Content-Length", "0")])
            return [b""]
        environ |= {"PATH_INFO": path.removeprefix(PREFIX), "HTTP_X_FORWARDED_PREFIX": PREFIX}
        return self.app(environ, start_response)


@pytest.fixture
def proxies() -> int:
    return 1


@pytest.fixture
def portal(database: Database, proxies: int) -> Iterator[Portal]:
    app = create_app(database.settings.model_copy(update={"proxies": proxies}))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield Portal(database, app, app.extensions[KEY])
    app.extensions[KEY].close()


@pytest.fixture
def client(portal: Portal) -> Client:
    return Client(Proxy(portal.app), portal.app.response_class)


@contextmanager
def served(portal: Portal) -> Iterator[str]:
    with serve_app(Proxy(portal.app)) as url:
        yield f"{url}{PREFIX}"


def log_in(client: Client, **more: str) -> Any:
    path = f"{PREFIX}/login"
    form = {"csrf_token": proof(client, path), "name": "olga", "password": PASSWORD} | more
    return client.post(path, data=form)


def test_every_page_is_reached_by_links_below_the_prefix(portal: Portal, client: Client) -> None:
    a_person(portal, role=Role.ADMIN)
    portal.send(portal.new_job(), ("a/b.png", a_png()))
    portal.read_all()
    assert log_in(client).location == f"{PREFIX}/"
    waiting, seen = [f"{PREFIX}/"], set[str]()
    while waiting:
        seen.add(page := waiting.pop())
        answer = client.get(page, buffered=True)
        assert answer.status_code == 200, page
        found = LINKS.findall(answer.text) if answer.mimetype == "text/html" else []
        for kind, link in found:
            assert link.startswith((f"{PREFIX}/", "?", "#")) or not link, (page, link)
            path = re.split("[?#]", link)[0]
            if path and kind != "action" and path not in {*seen, *waiting}:
                waiting.append(path)
    assert {f"{PREFIX}/studies", f"{PREFIX}/users", f"{PREFIX}/static/overread.css"} <= seen


@pytest.mark.parametrize("proxies", [1, 2])
def test_login_returns_to_the_requested_page(portal: Portal, client: Client) -> None:
    a_person(portal)
    asked = client.get(f"{PREFIX}/studies?order=label").location
    assert asked == f"{PREFIX}/login?next=/studies?order%3Dlabel"
    assert log_in(client, next="/studies?order=label").location == f"{PREFIX}/studies?order=label"
    another = Client(client.application, client.response_wrapper)
    assert log_in(another, next="//evil.example").location == f"{PREFIX}/"


def test_cookies_are_sent_below_the_prefix_only(portal: Portal, client: Client) -> None:
    a_person(portal)
    cookies = log_in(client).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all(f"Path={PREFIX}" in cookie.split("; ") for cookie in cookies)


def test_api_names_the_prefix(portal: Portal, client: Client) -> None:
    token = {"Authorization": f"Bearer {portal.token(Role.ADMIN)}"}
    assert client.get(PREFIX + PATH, headers=token).json["servers"] == [{"url": PREFIX}]
    assert portal.program().get(PATH).json["servers"] == [{"url": "/"}]
    new = {"name": "rita", "role": "reader"}
    made = client.post(f"{PREFIX}/api/v1/users", json=new, headers=token).json
    assert made["link"].startswith(f"{PREFIX}/welcome#")


def test_prefix_of_an_undeclared_proxy_is_ignored(database: Database) -> None:
    app = create_app(database.settings)
    answer = app.test_client().get("/studies", headers={"X-Forwarded-Prefix": "/evil"})
    assert answer.location == "/login?next=/studies"
    app.extensions[KEY].close()


def test_commands_use_an_url_with_a_path(portal: Portal, tmp_path: Path) -> None:
    with served(portal) as url:
        environment = {
            "OVERREAD_URL": url,
            "OVERREAD_TOKEN": portal.token(Role.ADMIN),
            "OVERREAD_DATA": str(tmp_path),
        }
        made = run("users", "add", "rita", "--role", "reader", **environment)
        assert made.exit_code == 0, made.output
        assert f"{url}/welcome#" in made.output
        (tmp_path / "a.png").write_bytes(a_png())
        sent = run("submit", tmp_path / "a.png", **environment)
        assert sent.exit_code == 0, sent.output
        assert f"{url}/jobs/" in sent.output


@pytest.mark.browser
def test_upload_and_label_below_the_prefix(
    portal: Portal, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(a_png())
    with served(portal) as url, new_page(browser) as page:
        enter(page, url, portal.token(Role.ADMIN, kind="login"))
        page.set_input_files("#files", tmp_path / "a.png")
        expect(page).to_have_url(re.compile(rf"{re.escape(url)}/jobs/[0-9a-f]{{32}}"))
        expect(page.locator('[data-count="total"]')).to_have_text("1")
        portal.read_all()
        page.goto(f"{url}/studies/1")
        page.click("[data-label=normal]")
        expect(page.locator("#label-state")).to_have_text("Saved.")
