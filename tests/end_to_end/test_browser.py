"""A user in a browser: log in by link, upload a folder, follow the job, open a study."""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.phantom.studies import write_phantom_studies
from tests.end_to_end.conftest import login_link
from tests.support.servers.browser import expect_count
from tests.support.servers.service import Service, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.browser]

STUDIES = 5
READ_WITHIN_MS = 300_000  # on the slowest machine
WIDTHS = {"desk": (1280, 800), "phone": (390, 844)}


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upload") / "ward 3"
    write_phantom_studies(folder, studies=STUDIES)
    (folder / "letter.txt").write_text("no picture")
    (folder / "Thumbs.db").write_bytes(b"junk")
    return folder


@pytest.fixture(scope="module")
def visit(browser: Browser, service: Service) -> Iterator[Page]:
    """A session after login; errors in the browser's console fail the tests.

    But for pictures that are still being drawn (503): a page asks again for these.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "status of 503" not in message.text
            else None
        ),
    )
    page.goto(login_link(service))
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def job(visit: Page, service: Service, upload: Path) -> str:
    """URL of the job of the uploaded folder, finished."""
    visit.goto(service.url)
    visit.set_input_files("#folder", upload)
    visit.wait_for_url(re.compile(r"/jobs/[0-9a-f]{32}$"))
    expect(visit.locator("#state")).to_have_text("Finished", timeout=READ_WITHIN_MS)
    return visit.url


def test_uploaded_folder_is_predicted(visit: Page, job: str, upload: Path) -> None:
    visit.goto(job)
    expect(visit.get_by_role("heading", level=1)).to_have_text("ward 3")
    sent = sum(1 for path in upload.rglob("*") if path.is_file()) - 1  # without Thumbs.db
    for state, count in {"total": sent, "rejected": 1, "predicted": sent - 1}.items():
        expect_count(visit, state, count)
    reason = visit.locator("#reasons li")
    expect(reason).to_have_count(1)
    expect(reason).to_contain_text("ward 3/letter.txt")
    expect(reason).to_contain_text("letter.txt: ")


def test_study_page_fades_heatmap(visit: Page, job: str) -> None:
    visit.goto(job)
    visit.click("#to-studies")
    rows = visit.locator(".worklist tbody tr")
    expect(rows).to_have_count(STUDIES)
    answered = rows.filter(has=visit.locator(".chance .scale")).first
    answered.locator(".label a").click()
    visit.wait_for_url(re.compile(r"/studies/\d+"))
    heatmap = visit.locator("#heatmap")
    for picture in (visit.locator("#radiograph"), heatmap):
        is_large = partial(picture.evaluate, "image => image.naturalWidth > 100")
        wait_until(is_large, what="a picture")
    expect(heatmap).to_have_css("opacity", "0.4")
    visit.locator("#opacity").fill("75")
    expect(heatmap).to_have_css("opacity", "0.75")
    expect(visit.locator("#opacity-value")).to_have_text("75 %")
    visit.locator("body").press("ArrowLeft")
    expect(heatmap).to_have_css("opacity", "0.7")
    visit.locator("body").press("h")
    expect(heatmap).to_have_css("opacity", "0")
    same = "([a, b]) => JSON.stringify(a) === JSON.stringify(b)"
    boxes = [visit.locator(name).bounding_box() for name in ("#radiograph", "#heatmap")]
    assert visit.evaluate(same, boxes), "the heatmap is not aligned with the image"
    visit.evaluate("sessionStorage.clear()")


def test_keys_move_between_studies(visit: Page, service: Service, job: str) -> None:
    visit.goto(f"{service.url}/studies")
    links = visit.locator(".worklist .label a")
    first, second = (links.nth(line).get_attribute("href") for line in range(2))
    visit.locator("body").press("j")
    visit.locator("body").press("j")
    expect(links.nth(1)).to_be_focused()
    visit.locator(":focus").press("Enter")
    visit.wait_for_url(f"{service.url}{second}")
    visit.locator("body").press("k")
    visit.wait_for_url(f"{service.url}{first}")


def test_results_download_as_csv_and_json(visit: Page, job: str) -> None:
    visit.goto(job)
    for kind in ("CSV", "JSON"):
        with visit.expect_download() as started:
            visit.get_by_role("link", name=kind, exact=True).click()
        assert "letter.txt" in Path(started.value.path()).read_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_desktop_and_phone(
    visit: Page, service: Service, job: str, tmp_path: Path, width: str
) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    columns, rows = WIDTHS[width]
    visit.set_viewport_size({"width": columns, "height": rows})
    pages = {"jobs": "/", "worklist": "/studies", "study": "/studies/1?at=1", "about": "/about"}
    pages |= {"versions": "/versions", "nights": "/nights"}
    pages["job"] = job.removeprefix(service.url)
    for name, path in pages.items():
        visit.goto(service.url + path)
        visit.wait_for_load_state("load")
        shot = visit.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
        assert len(shot) > 10_000, f"{name} is empty"
        assert visit.evaluate("document.documentElement.scrollWidth") <= columns, name
