"""Browser uploads while network, portal and files disappear; closing and cancelling."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.data.uploads import a_png
from tests.support.servers.browser import expect_count
from tests.support.servers.portal_server import Environment, ServedPortal
from tests.support.web.pages import enter

pytestmark = pytest.mark.browser

CHUNK = 8 * 2**20
LARGE = 2 * CHUNK + 5
SEEDS = count()


@pytest.fixture
def page(browser: Browser, service: ServedPortal) -> Iterator[Page]:
    """The list of jobs, logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())  # leave while sending?
    link = service.portal.token(kind="login", lifetime=timedelta(hours=1))
    enter(page, service.url, link)
    yield page
    context.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PNG and a file of three chunks."""
    folder = tmp_path / "ward 4"
    folder.mkdir()
    (folder / "a.png").write_bytes(another_png())
    image = another_png()  # with bytes after its end
    (folder / "large.png").write_bytes(image + os.urandom(LARGE - len(image)))
    return folder


def another_png() -> bytes:
    return a_png(seed=next(SEEDS))


def only_first_chunk(environ: Environment) -> int | None:
    return 503 if environ.get("HTTP_UPLOAD_OFFSET", "0") != "0" else None


def interrupt(page: Page, service: ServedPortal, folder: Path) -> None:
    """Stop after the small file and the first chunk of the large one."""
    service.interceptor.handler = only_first_chunk
    page.set_input_files("#folder", folder)
    waits = page.locator("#sending-waits")
    expect(waits).to_contain_text("The service does not respond; trying again")
    expect(page.locator("#sending-numbers")).to_contain_text("1 of 2 files")


def missing(page: Page) -> Locator:
    return page.locator('section:has([data-uploads="missing"])')


def test_upload_waits_for_network_and_portal(
    page: Page, service: ServedPortal, folder: Path
) -> None:
    interrupt(page, service, folder)
    page.context.set_offline(True)
    waits = page.locator("#sending-waits")
    expect(waits).to_contain_text("This computer is offline; trying again")
    service.interceptor.handler = lambda _: None
    page.context.set_offline(False)

    expect(page.locator("#state")).to_have_text("Processing")
    expect_count(page, "total", 2)
    expect_count(page, "missing", 0)
    chunks = {(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 5)}
    assert chunks == set(service.interceptor.pieces())


def test_reloaded_page_resumes_upload(
    page: Page, service: ServedPortal, folder: Path, tmp_path: Path
) -> None:
    interrupt(page, service, folder)
    page.reload()

    title = missing(page).get_by_role("heading")
    expect(title).to_have_text("Not here yet: 1 of 2 declared files", use_inner_text=True)
    missing(page).get_by_text("Show files").click()
    expect(missing(page).locator(".uploads li")).to_contain_text("ward 4/large.png")
    expect(missing(page).locator(".uploads li")).to_contain_text("8.4 MB of 17 MB arrived")
    another = tmp_path / "another"
    another.mkdir()
    (another / "a.png").write_bytes(another_png())
    page.set_input_files("#folder", another)
    expect(page.locator("#trouble")).to_contain_text("None of these 1 files is missing")

    page.reload()
    service.interceptor.handler = lambda _: None
    service.interceptor.requests.clear()
    page.set_input_files("#folder", folder)
    expect(page.locator("#state")).to_have_text("Processing")
    expect_count(page, "total", 2)
    assert service.interceptor.pieces() == [(CHUNK, CHUNK), (2 * CHUNK, 5)]


def test_job_can_be_closed_without_unreadable_files(
    page: Page, service: ServedPortal, folder: Path
) -> None:
    (folder / "b.png").write_bytes(another_png())

    def interfere(environ: Environment) -> None:
        if environ["PATH_INFO"].endswith("/uploads"):
            (folder / "b.png").unlink(missing_ok=True)
            (folder / "large.png").unlink(missing_ok=True)

    service.interceptor.handler = interfere
    page.set_input_files("#folder", folder)
    trouble = page.locator("#trouble-list li")
    expect(trouble).to_contain_text(["cannot be read"] * 2)
    expect(page.locator("#trouble-list")).to_contain_text("ward 4/b.png")
    expect(page.locator("#trouble-list")).to_contain_text("ward 4/large.png")
    page.get_by_role("link", name="Show job").click()
    page.locator("summary", has_text="Close without them").click()
    page.locator('[data-act="close-without"]').click()
    heading = page.get_by_role("heading", name="Never arrived: 2 of 3 declared files")
    expect(heading).to_be_visible()
    service.portal.read_all()
    words = "Finished, incomplete: 2 of 3 declared files never arrived"
    expect(page.locator("#state")).to_have_text(words)


def test_many_small_files_are_sent_in_batches(
    page: Page, service: ServedPortal, tmp_path: Path
) -> None:
    """A batch that a proxy refuses is sent file by file."""
    paths = [tmp_path / f"{number}.png" for number in range(130)]
    for path in paths:
        path.write_bytes(another_png())
    counts: list[int] = []

    def refuse_first(environ: Environment) -> int | None:
        ids = re.fullmatch(r"ids=((?:[0-9]+|,|%2C)+)", environ["QUERY_STRING"])
        if environ["REQUEST_METHOD"] != "PATCH" or ids is None:
            return None
        counts.append(len(re.split(",|%2C", ids[1])))
        return 413 if len(counts) == 1 else None

    service.interceptor.handler = refuse_first
    page.set_input_files("#files", paths)
    page.wait_for_url(re.compile(r"/jobs/"))
    expect_count(page, "total", 130)
    expect_count(page, "missing", 0)
    assert sorted(size for size in counts if size > 1) == [2, 64, 64]
    assert counts.count(1) == counts[0], "those of the refused batch"


def test_job_is_cancelled_and_retried(page: Page, service: ServedPortal, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ('a%22"b.png', "ä\\2.png")]
    for path in paths:
        path.write_bytes(another_png())
    page.set_input_files("#files", paths)
    page.wait_for_url(re.compile(r"/jobs/"))
    state = page.locator("#state")
    expect(state).to_have_text("Processing")
    page.locator("summary", has_text="Cancel job").click()
    page.locator('[data-act="cancel"]').click()
    expect(state).to_have_text("Cancelled")
    expect_count(page, "cancelled", 2)
    expect_count(page, "received", 0)
    job_url = page.url
    page.goto(service.url)
    expect(page.locator(".job-line").first).to_contain_text("× cancelled")

    page.goto(job_url)
    page.get_by_role("button", name="Retry failed and cancelled").click()
    expect(state).to_have_text("Processing")
    service.portal.read_all()
    expect(state).to_have_text("Finished")
    expect_count(page, "predicted", 2)
    page.get_by_role("button", name="Retry all").click()
    expect(page.locator("#act-trouble")).to_contain_text("the production model has read all images")
