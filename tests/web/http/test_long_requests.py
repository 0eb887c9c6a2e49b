"""Unpacking a large zip delays the response to its last chunk: clients wait and retry."""

import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from cli.submit.send import CHUNK_BYTES
from tests.support.data.uploads import a_png
from tests.support.servers.portal_server import Environment, ServedPortal
from tests.support.web.pages import enter, new_page
from tests.support.web.portal import a_zip

WITHIN_MS = 30_000


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "50%.zip"
    path.write_bytes(a_zip(("a.png", a_png(seed=1)), ("b.png", a_png(seed=2))))
    return path


@dataclass
class Impatient:
    """A proxy that times out on the first chunk while the portal is still storing it."""

    portal: Callable[..., Any]
    has_started: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    chunks: int = 0

    def __call__(self, environ: Environment) -> int | None:
        if environ["REQUEST_METHOD"] != "PATCH":
            return None
        self.chunks += 1
        if self.chunks == 1:
            slow = environ | {"wsgi.input": Slow(environ["wsgi.input"], self)}
            self.work = threading.Thread(target=lambda: list(self.portal(slow, lambda *_: None)))
            self.work.start()
            assert self.has_started.wait(timeout=20)
            return 504
        if self.chunks == 3:  # the second was refused because the first is being stored
            self.may_end.set()
            self.work.join()
        return None


@dataclass
class Slow:
    body: Any
    proxy: Impatient

    def read(self, size: int = -1) -> bytes:
        self.proxy.has_started.set()
        assert self.proxy.may_end.wait(timeout=20)
        return bytes(self.body.read(size))


def test_submit_retries_after_a_gateway_timeout(service: ServedPortal, packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive:  # smaller files are not sent in chunks
        archive.writestr(".DS_Store", bytes(CHUNK_BYTES))
    proxy = Impatient(service.interceptor.portal)
    service.interceptor.handler = proxy
    result = service.run("submit", packed)
    proxy.may_end.set()
    assert result.exit_code == 0, result.output
    assert "still processing an earlier request; waiting" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.missing, job.total) == (1, 0, 2)
    assert proxy.chunks >= 3


@pytest.mark.browser
def test_job_page_shows_that_files_are_being_stored(
    browser: Browser, service: ServedPortal, packed: Path
) -> None:
    may_continue = threading.Event()

    def watch(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "PATCH":
            may_continue.wait(timeout=60)

    service.interceptor.handler = watch
    with new_page(browser) as page:
        enter(page, service.url, service.portal.token(kind="login"))
        page.set_input_files("#files", packed)
        try:
            left = page.locator("#sending-left")
            expect(left).to_have_text(" · sent, being stored", timeout=WITHIN_MS)
        finally:
            may_continue.set()
        expect(page.locator("#state")).to_have_text("Processing", timeout=WITHIN_MS)
