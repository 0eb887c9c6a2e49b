"""Response headers, proxies, and uploads that must not become pages."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import request

from models.tables.people import Role
from tests.support.data.builders import make_png, png_chunk, png_with
from tests.support.servers.databases import Database
from tests.support.web.pages import get_picture
from tests.support.web.portal import Portal
from tests.support.web.routes import walk
from web.app import create_app
from web.auth.rules import open_to_all
from web.http.security import NOTICE, local_path

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Overread-Notice": NOTICE,
    "Strict-Transport-Security": "max-age=31536000",
}
SCRIPT = b"<html><script>alert(1)</script>"
DATA = re.compile(r"(application/(problem\+|openapi\+)?json|application/x-ndjson|text/csv)")


def png_with_html(folder: Path) -> bytes:
    """An image with HTML in its comment."""
    image = make_png(folder / "a.png").read_bytes()
    return png_with(image, png_chunk(b"tEXt", b"Comment\0" + SCRIPT))


def test_every_response_carries_the_security_headers(portal: Portal) -> None:
    client = portal.program(Role.ADMIN)
    for route in walk(portal):
        headers = client.open(route.path, method=route.method, base_url="https://here").headers
        assert {name: headers.get(name) for name in HEADERS} == HEADERS, route
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Server" not in headers
        assert route.endpoint == "static" or headers["Cache-Control"] == "no-store", route


@pytest.mark.parametrize("proxies", [0, 1])
def test_proxy_headers_are_trusted_only_behind_a_proxy(database: Database, proxies: int) -> None:
    settings = database.settings.model_copy(update={"proxies": proxies})
    app = create_app(settings)
    sent = {"X-Forwarded-For": "192.0.2.7, 198.51.100.1", "X-Forwarded-Proto": "https"}

    @app.get("/seen")
    @open_to_all("for this test")
    def seen_by_app() -> str:
        return f"{request.remote_addr} {request.is_secure} {request.host}"

    answer = app.test_client().get("/seen", headers=sent | {"X-Forwarded-Host": "evil.example"})
    expected = ["127.0.0.1 False localhost", "198.51.100.1 True localhost"]
    assert answer.text == expected[proxies]
    assert ("Strict-Transport-Security" in answer.headers) == bool(proxies)


def test_uploaded_html_is_never_served_as_html(portal: Portal, tmp_path: Path) -> None:
    job = portal.new_job("<script>alert(2)</script>")
    portal.send(job, ("<script>alert(3)</script>/a.html", png_with_html(tmp_path)))
    portal.read_all()
    admin = portal.program(Role.ADMIN)
    ids: dict[str, Any] = {"job_id": job, "image_id": 1, "study_id": 1}
    assert "&lt;script&gt;alert(3)" in admin.get("/studies/1").text
    for route in walk(portal, **ids):
        if route.method == "GET" and route.endpoint != "static":
            answer = admin.get(route.path)
            assert b"<script>alert" not in answer.data or DATA.match(answer.content_type), route
            if route.pattern.startswith("/api/"):
                assert not answer.content_type.startswith(("text/html", "image/svg")), route


def test_renderings_are_revalidated_and_contain_no_upload(portal: Portal, tmp_path: Path) -> None:
    portal.send(portal.new_job(), ("x.html", png_with_html(tmp_path)))
    portal.read_all()
    viewer = portal.program(Role.VIEWER)
    for kind in ("display", "thumbnail", "heatmap.png", "overlay.png"):
        path = f"/api/v1/images/1/{kind}"
        answer = get_picture(viewer, path)
        assert answer.status_code == 200, kind
        assert answer.content_type == "image/png"
        assert answer.headers["Cache-Control"] == "private, no-cache"
        again = viewer.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        name = f"{kind.removesuffix('.png')}.png"
        assert answer.headers["Content-Disposition"] == f'inline; filename="{name}"'
        assert SCRIPT not in answer.data


ELSEWHERE = [
    *("", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example"),
    *("/\t/evil.example", "\n//evil.example", " //evil.example", "https:evil.example"),
    *("https://evil.example/", "HTTPS:\\\\evil.example", "javascript:alert(1)", "data:text/html,x"),
    *("%2F%2Fevil.example", "%68ttps://evil.example", "evil.example"),
    *("/studies\r\nSet-Cookie: a=b", "/login?token=anothers", "/welcome?token=anothers"),
    *("/./login?token=anothers", "/.//login?token=anothers", "/studies/../login?token=anothers"),
    *(
        "/studies/%2e%2E/login?token=anothers",
        "/%6cogin?token=anothers",
        "/%2Flogin?token=anothers",
    ),
]
HERE = [
    "/studies",
    "/studies?page=2&order=label",
    "/jobs/%2F%2Fevil.example",
    "/studies?next=/login",
]


@pytest.mark.parametrize("wanted", [*ELSEWHERE, *HERE])
def test_local_path_stays_on_this_portal(wanted: str) -> None:
    leads_to = local_path(wanted)
    assert leads_to == ("/" if wanted in ELSEWHERE else wanted)
    # As a browser resolves it.
    assert urlsplit(urljoin("http://here/login", leads_to)).netloc == "here"
