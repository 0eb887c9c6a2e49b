"""An upload names invented patients in every place; these names must not occur anywhere else.

File names may be shown to users who may see the job: in the database, on pages and in exports.
Identifiers inside files may be shown to nobody.
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

from tests.support.data.invented_patient import (
    CONTENTS,
    NAMES,
    find_words,
    write_labels,
    write_upload,
)
from tests.support.servers.service import Service, command_line, wait_until

pytestmark = pytest.mark.processes

IDENTIFYING = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
COMMON_WORDS = {"Patient", "Number"}  # parts of invented names; the pages use them too
WITHIN_S = 300.0  # on the slowest machine
SHORTEST = 6  # "0" or "M" would be found anywhere, and five digits may be a process id

ALL = (*CONTENTS, *NAMES)
CSV = {"Content-Type": "text/csv"}
UPLOAD = "Hallifaxworth_Ottoline"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The upload has been predicted and labelled."""
    sent = tmp_path_factory.mktemp("sent")
    running = Service(
        tmp_path_factory.mktemp("service"), {"sweep_interval_s": "1", "log_format": "json"}
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


def all_files(service: Service) -> list[Path]:
    return [path for path in service.folder.rglob("*") if path.is_file()]


def is_database(path: Path) -> bool:
    return path.name.startswith("overread.sqlite3")


def test_data_folder_and_logs_name_no_patient(service: Service) -> None:
    files = all_files(service)
    assert any(is_database(path) for path in files)
    assert any("stored" in path.parts for path in files)
    assert any("broker" in path.parts for path in files)
    for path in files:
        forbidden = CONTENTS if is_database(path) else ALL
        assert find_words(path.read_bytes(), forbidden) == [], path.relative_to(service.folder)


def test_database_holds_file_names(service: Service) -> None:
    """Otherwise the other searches would prove nothing."""
    rows = b"".join(path.read_bytes() for path in all_files(service) if is_database(path))
    assert set(find_words(rows, NAMES)) == set(NAMES)


def test_pages_and_urls_name_no_patient(person: httpx.Client) -> None:
    first = ["/", "/studies", "/labels", "/about", "/audit", "/users", "/nights", "/versions"]
    first += ["/api/v1/jobs", "/api/v1/studies", "/api/v1/labels", "/metrics", "/readyz"]
    first += [f"/api/v1/results?format={kind}" for kind in ("csv", "json", "jsonl")]
    seen = crawl(person, first, most=60)
    assert sum(path.startswith("/studies/") for path in seen) >= 2
    assert sum("/display" in path for path in seen) >= 2
    named = {path: found for path, body in seen.items() if (found := find_words(body, CONTENTS))}
    assert named == {}
    assert find_words("\n".join(seen).encode(), ALL) == [], "URLs are logged"
    assert set(find_words(b"".join(seen.values()), NAMES)) == set(NAMES), "users see file names"


def crawl(person: httpx.Client, first: list[str], *, most: int) -> dict[str, bytes]:
    """Return bodies and headers by path, following links."""
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
    """The same service after it has also predicted the shared DICOM files."""
    sent = service.run("submit", shared_data / "dicom", "--wait", "--json")
    assert '"predicted"' in sent.stdout, sent.stderr
    return service


@pytest.fixture(scope="module")
def identifiers(shared_data: Path) -> set[bytes]:
    """As the files state them; of names also the parts. File names are left out."""
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
def test_shared_files_name_patients(identifiers: set[bytes]) -> None:
    assert len(identifiers) > 10, "otherwise the tests below prove nothing"


@pytest.mark.shared
def test_data_folder_names_no_shared_patient(read: Service, identifiers: set[bytes]) -> None:
    files = all_files(read)
    assert any(path.name == "overread.sqlite3" for path in files)
    assert any("stored" in path.parts for path in files)
    assert read.folder / "log" in files
    found = {
        (path.relative_to(read.folder), text)
        for path in files
        for content in [path.read_bytes()]
        for text in identifiers
        if _is_in(text, content) and not (text.isdigit() and _is_numbers(path))
    }
    assert found == set()


def _is_in(text: bytes, content: bytes) -> bool:
    """Digits inside a longer number or a hash do not count: they occur by chance."""
    if not text.isdigit() or text not in content:
        return text in content
    return re.search(rb"(?<![0-9a-f])" + text + rb"(?![0-9a-f])", content) is not None


def _is_numbers(path: Path) -> bool:
    """Pixels and counters: "12345678" may be a gray ramp there, and "00000001" a length."""
    return "inputs" in path.parts or "broker" in path.parts


@pytest.mark.shared
def test_pages_name_no_shared_patient(
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


def test_audit_and_metrics_hold_no_file_names(program: httpx.Client) -> None:
    for path in ("/api/v1/audit?format=csv", "/api/v1/audit", "/metrics", "/readyz"):
        answer = program.get(path)
        assert answer.is_success, path
        assert find_words(answer.content, ALL) == [], path


def test_error_responses_repeat_no_names(program: httpx.Client, person: httpx.Client) -> None:
    """Of invalid requests that carry names."""
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
        assert find_words(answer.content, ALL) == [], status
    assert {answer.status_code for answer in answers.values()} >= {404, 413, 422}
    assert find_words(person.get("/studies/424242").content, ALL) == []


def test_tracebacks_hold_no_names(
    service: Service, program: httpx.Client, person: httpx.Client
) -> None:
    """The table that holds the names is missing, then a stored image is damaged."""
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
        wait_until(lambda: "no such table" in service.log, within_s=WITHIN_S, what="an error")
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
    displays = [person.get(path) for path in shown]
    assert any(answer.status_code == 500 for answer in displays)
    answers += displays
    for answer in answers:
        assert find_words(answer.content, ALL) == []
    assert "Traceback" in service.log
    assert find_words(service.log.encode(), ALL) == []


def rename(database: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_process_list_and_logs_hold_no_names(service: Service) -> None:
    """Runs last, when everything has been logged."""
    shown = "\n".join(map(command_line, service.processes()))
    assert "celery" in shown
    assert find_words(shown.encode(), ALL) == []
    assert "/api/v1/jobs/" in service.log, "requests are logged"
    assert find_words(service.log.encode() + service.output.encode(), ALL) == []
    for path in service.data_dir.rglob("*"):
        if path.is_file() and ("broker" in path.parts or path.suffix == ".log"):
            assert find_words(path.read_bytes(), ALL) == [], path.name


def test_find_words_finds_every_spelling() -> None:
    for content in (
        "Grünspanhügel".encode("utf-16-le"),
        b"Gr%C3%BCnspanh%C3%BCgel",
        json.dumps("xGrünspanhügelx").encode(),
        b"eEdyw7xuc3Bhbmjdfg eEdyw7xuc3BhbmjDvGdlbHg=",
    ):
        assert find_words(content, ["Grünspanhügel"]) == ["Grünspanhügel"], content
    assert find_words(b"Gruenspanhuegel", CONTENTS) == []
