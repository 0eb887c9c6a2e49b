"""After an upload, no name, ID or birth date of a patient is found anywhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest

from tests.service import Service

pytestmark = [pytest.mark.processes, pytest.mark.shared]

IDENTIFYING = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
COMMON_WORDS = {"Patient", "Number"}  # parts of invented names; the pages use them too
SHORTEST = 5  # "0" or "M" would be found in anything


@pytest.fixture(scope="module")
def read(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has read the shared DICOM files."""
    service = Service(tmp_path_factory.mktemp("privacy"))
    service.start()
    sent = service.run("submit", shared_data / "dicom", "--wait", "--json")
    assert '"predicted"' in sent.stdout, sent.stderr
    yield service
    service.end()


@pytest.fixture(scope="module")
def identifiers(shared_data: Path) -> set[bytes]:
    """As they stand in the files; of a name, also its parts. File names are the uploader's."""
    found: set[str] = set()
    names = " ".join(path.name for path in (shared_data / "dicom").iterdir())
    for path in (shared_data / "dicom").iterdir():
        if path.suffix != ".csv":
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            for keyword in IDENTIFYING:
                text = str(dataset.get(keyword) or "")
                found |= {text, *re.split(r"[\^=, ]+", text)}
    found -= COMMON_WORDS
    kept = {text for text in found if len(text) >= SHORTEST and text not in names}
    return {text.encode() for text in kept}


def test_the_files_name_patients(identifiers: set[bytes]) -> None:
    assert len(identifiers) > 10, "else the tests below prove nothing"


def test_nothing_that_is_kept_names_a_patient(read: Service, identifiers: set[bytes]) -> None:
    kept = [path for path in read.folder.rglob("*") if path.is_file()]
    assert any(path.name == "overread.sqlite3" for path in kept)
    assert any("stored" in path.parts for path in kept)
    assert read.folder / "log" in kept
    found = {
        (path.relative_to(read.folder), text)
        for path in kept
        for content in [path.read_bytes()]
        for text in identifiers
        if text in content and not (text.isdigit() and _is_numbers(path))
    }
    assert found == set()


def _is_numbers(path: Path) -> bool:
    """Pixels and counters: "12345678" is a smooth ramp of grey there, and "00000001" a length."""
    return "inputs" in path.parts or "broker" in path.parts


def test_no_page_names_a_patient(read: Service, identifiers: set[bytes]) -> None:
    link = next(word for word in read.run("login-link").stdout.split() if "/login?" in word)
    with httpx.Client(base_url=read.url, follow_redirects=True, timeout=30.0) as browser:
        assert browser.get(link).is_success
        seen: dict[str, bytes] = {}
        waiting = ["/", "/studies", "/about", "/api/v1/results", "/api/v1/studies"]
        while waiting and len(seen) < 120:
            path = waiting.pop()
            if path not in seen:
                answer = browser.get(path)
                assert answer.is_success, path
                seen[path] = answer.content
                if "html" in answer.headers["content-type"]:
                    waiting += _links(answer.text)
    assert sum(path.startswith("/studies/") for path in seen) > 5
    assert sum("/images/" in path for path in seen) > 5
    found = {
        (path, text)
        for path, body in seen.items()
        for text in identifiers
        if text in body and not (text.isdigit() and b"<html" not in body and body[:1] != b"{")
    }
    assert found == set()


def _links(page: str) -> list[str]:
    paths = re.findall(r'(?:href|src|data-[a-z-]+)="(/[^"#]*)"', page)
    return [path.replace("&amp;", "&") for path in paths if not re.search("logout|^/static/", path)]
