"""Patients are planted in every corner of an upload, and looked for everywhere else.

Names of files are for those who may see the job: in the database's rows, on pages and in exports
(DESIGN section 4). What stands inside files is for nobody.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pydicom
import pytest

from tests.support.data.planted_patients import CONTENTS, NAMES, write_labels, write_upload
from tests.support.data.searching import found_in
from tests.support.servers.service import Service, command_line, wait_until

pytestmark = pytest.mark.processes

IDENTIFYING = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
COMMON_WORDS = {"Patient", "Number"}  # parts of invented names; the pages use them too
WITHIN_S = 300.0  # on the slowest machine
SHORTEST = 6  # "0" or "M" would be found in anything, and five digits are some process's id

ALL = (*CONTENTS, *NAMES)
CSV = {"Content-Type": "text/csv"}
UPLOAD = "Hallifaxworth_Ottoline"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Everything was sent, read and labelled; then much went wrong."""
    sent = tmp_path_factory.mktemp("sent")
    running = Service(
        tmp_path_factory.mktemp("planted"), {"sweep_interval_s": "1", "log_format": "json"}
    )
    running.start()
    answer = running.run("submit", write_upload(sent), "--wait", "--json")
    assert answer.stdout.count('"predicted"') >= 3, answer.stderr
    assert answer.stdout.count('"rejected"') >= 5, answer.stderr
    labels = running.run("label", write_labels(sent))
    assert "2 labels added" in labels.stdout, labels.stdout + labels.stderr
    yield running
    running.end()


@pytest.fixture(scope="module")
def person(service: Service) -> Iterator[httpx.Client]:
    link = next(word for word in service.run("login-link").stdout.split() if "/login?" in word)
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=WITHIN_S) as browser:
        assert browser.get(link).is_success
        yield browser


@pytest.fixture(scope="module")
def program(service: Service) -> Iterator[httpx.Client]:
    bearer = {"Authorization": f"Bearer {(service.data_dir / 'token').read_text().strip()}"}
    with httpx.Client(base_url=service.url, headers=bearer, timeout=WITHIN_S) as client:
        yield client


def kept_files(service: Service) -> list[Path]:
    return [path for path in service.folder.rglob("*") if path.is_file()]


def is_database(path: Path) -> bool:
    return path.name.startswith("overread.sqlite3")


def test_what_is_kept_names_no_patient(service: Service) -> None:
    """The stored pictures, the broker's file, logs and snapshots hold neither kind of name."""
    kept = kept_files(service)
    assert any(is_database(path) for path in kept)
    assert any("stored" in path.parts for path in kept)
    assert any("broker" in path.parts for path in kept)
    for path in kept:
        looked_for = CONTENTS if is_database(path) else ALL
        assert found_in(path.read_bytes(), looked_for) == [], path.relative_to(service.folder)


def test_names_of_files_are_where_they_may_be(service: Service) -> None:
    """Else the searches here would prove nothing."""
    rows = b"".join(path.read_bytes() for path in kept_files(service) if is_database(path))
    assert set(found_in(rows, NAMES)) == set(NAMES)


def test_no_page_and_no_address_names_a_patient(person: httpx.Client) -> None:
    first = ["/", "/studies", "/labels", "/about", "/audit", "/users", "/nights", "/versions"]
    first += ["/api/v1/jobs", "/api/v1/studies", "/api/v1/labels", "/metrics", "/readyz"]
    first += [f"/api/v1/results?format={kind}" for kind in ("csv", "json", "jsonl")]
    seen = crawl(person, first, most=60)
    assert sum(path.startswith("/studies/") for path in seen) >= 2
    assert sum("/display" in path for path in seen) >= 2
    named = {path: found for path, body in seen.items() if (found := found_in(body, CONTENTS))}
    assert named == {}
    assert found_in("\n".join(seen).encode(), ALL) == [], "addresses reach logs and histories"
    assert set(found_in(b"".join(seen.values()), NAMES)) == set(NAMES), "people see their files"


def crawl(person: httpx.Client, first: list[str], *, most: int) -> dict[str, bytes]:
    """Bodies and headers by path, of pages and of what they lead to."""
    seen: dict[str, bytes] = {}
    waiting = list(first)
    while waiting and len(seen) < most:
        path = waiting.pop()
        if path not in seen:
            answer = person.get(path)
            assert answer.is_success, path
            seen[path] = answer.content + str(answer.headers).encode()
            if "html" in answer.headers["content-type"]:
                waiting += links(answer.text)
    return seen


def links(page: str) -> list[str]:
    paths = re.findall(r'(?:href|src|data-[a-z-]+)="(/[^"#]*)"', page)
    return [path.replace("&amp;", "&") for path in paths if not re.search("logout|^/static/", path)]


@pytest.fixture(scope="module")
def read(service: Service, shared_data: Path) -> Service:
    """The same service, which has read the shared DICOM files, too."""
    sent = service.run("submit", shared_data / "dicom", "--wait", "--json")
    assert '"predicted"' in sent.stdout, sent.stderr
    return service


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


@pytest.mark.shared
def test_the_files_name_patients(identifiers: set[bytes]) -> None:
    assert len(identifiers) > 10, "else the tests below prove nothing"


@pytest.mark.shared
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
        if _is_in(text, content) and not (text.isdigit() and _is_numbers(path))
    }
    assert found == set()


def _is_in(text: bytes, content: bytes) -> bool:
    """A number is no part of a longer one, or of a hash's digits: such are there by chance."""
    if not text.isdigit() or text not in content:
        return text in content
    return re.search(rb"(?<![0-9a-f])" + text + rb"(?![0-9a-f])", content) is not None


def _is_numbers(path: Path) -> bool:
    """Pixels and counters: "12345678" is a smooth ramp of grey there, and "00000001" a length."""
    return "inputs" in path.parts or "broker" in path.parts


@pytest.mark.shared
def test_no_page_names_a_shared_patient(
    read: Service, person: httpx.Client, identifiers: set[bytes]
) -> None:
    seen = crawl(
        person, ["/", "/studies", "/about", "/api/v1/results", "/api/v1/studies"], most=120
    )
    assert sum(path.startswith("/studies/") for path in seen) > 5
    assert sum("/images/" in path for path in seen) > 5
    found = {
        (path, text)
        for path, body in seen.items()
        for text in identifiers
        if _is_in(text, body) and not (text.isdigit() and b"<html" not in body and body[:1] != b"{")
    }
    assert found == set()


def test_audit_and_figures_hold_no_name_at_all(program: httpx.Client) -> None:
    for path in ("/api/v1/audit?format=csv", "/api/v1/audit", "/metrics", "/readyz"):
        answer = program.get(path)
        assert answer.is_success, path
        assert found_in(answer.content, ALL) == [], path


def test_errors_name_nobody(program: httpx.Client, person: httpx.Client) -> None:
    """Requests that are wrong in many ways, each carrying names in what is sent."""
    job = program.post("/api/v1/jobs", json={"name": "a folder"}).json()["id"]
    uploads = f"/api/v1/jobs/{job}/uploads"
    named = {"file": f"{UPLOAD}/Brindlemere_Cuthbert.dcm"}
    part = [("files", ("Brindlemere_Cuthbert.dcm", b"Quackenbush"))]
    answers = {
        404: program.post("/api/v1/jobs/nothing/files", files=part),
        405: program.put(uploads, json=named),
        413: program.post("/api/v1/labels/csv", content=b"Quackenbush," * 3_000_000, headers=CSV),
        422: program.post(uploads, json={"files": [named | {"size": "Quackenbush"}]}),
        400: program.post(uploads, content=b'{"files": [Quackenbush'),
    }
    for status, answer in answers.items():
        assert answer.status_code in (status, 422, 400), f"{status}: {answer.text[:200]}"
        assert found_in(answer.content, ALL) == [], status
    assert {answer.status_code for answer in answers.values()} >= {404, 413, 422}
    assert found_in(person.get("/studies/424242").content, ALL) == []


def test_what_breaks_names_nobody_in_its_traceback(
    service: Service, program: httpx.Client, person: httpx.Client
) -> None:
    """For real: the table that holds the names is away, then a stored picture is garbage."""
    job = program.post("/api/v1/jobs", json={"name": UPLOAD}).json()["id"]
    part = [("files", ("Brindlemere_Cuthbert.dcm", b"Quackenbush"))]
    database = service.data_dir / "overread.sqlite3"
    rename(database, "image", "image_away")
    try:
        answers = [
            program.post(f"/api/v1/jobs/{job}/files", files=part),
            program.get("/api/v1/results"),
            person.get("/studies"),
        ]
        wait_until(lambda: "no such table" in service.log, within_s=WITHIN_S, what="a stumble")
    finally:
        rename(database, "image_away", "image")
    assert {answer.status_code for answer in answers} <= {500, 503}
    stored = [path for path in (service.data_dir / "files").rglob("*") if "stored" in path.parts]
    for path in stored:
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"\x89PNG\r\n\x1a\nQuackenbush")
    results = program.get("/api/v1/results?format=json").json()["results"]
    shown = [f"/api/v1/images/{one['image_id']}/display" for one in results]
    pictures = [person.get(path) for path in shown]
    assert any(answer.status_code == 500 for answer in pictures)
    answers += pictures
    for answer in answers:
        assert found_in(answer.content, ALL) == []
    assert "Traceback" in service.log
    assert found_in(service.log.encode(), ALL) == []


def rename(database: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_no_process_list_and_no_log_names_anybody(service: Service) -> None:
    """Last of all, when everything has happened."""
    shown = "\n".join(map(command_line, service.processes()))
    assert "celery" in shown
    assert found_in(shown.encode(), ALL) == []
    assert "/api/v1/jobs/" in service.log, "requests are logged"
    assert found_in(service.log.encode() + service.output.encode(), ALL) == []
    for path in service.data_dir.rglob("*"):
        if path.is_file() and ("broker" in path.parts or path.suffix == ".log"):
            assert found_in(path.read_bytes(), ALL) == [], path.name


def test_the_search_finds_what_is_there() -> None:
    for content in (
        "Grünspanhügel".encode("utf-16-le"),
        b"Gr%C3%BCnspanh%C3%BCgel",
        json.dumps("xGrünspanhügelx").encode(),
        b"eEdyw7xuc3Bhbmjdfg eEdyw7xuc3BhbmjDvGdlbHg=",
    ):
        assert found_in(content, ["Grünspanhügel"]) == ["Grünspanhügel"], content
    assert found_in(b"Gruenspanhuegel", CONTENTS) == []
