"""Where names of patients, secrets and ids of jobs occur, and where they must not.

An upload names invented patients in every place. File names may be shown to users who may see the
job: in the database, on pages and in exports. Identifiers inside files may be shown to nobody.
Logs, process lists and files that others may read hold no secrets.
"""

import json
import re
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pydicom
import pytest

from tests.end_to_end.conftest import follow_link, login_link
from tests.support.imaging.invented_patient import (
    CONTENTS,
    NAMES,
    find_words,
    write_labels,
    write_upload,
)
from tests.support.servers.service import WITHIN_S, Service, command_line, wait_until
from tests.support.web.pages import get_picture
from tests.support.web.portal import proof

pytestmark = pytest.mark.processes

IDENTIFYING = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
COMMON_WORDS = {"Patient", "Number"}  # parts of invented names; the pages use them too
SHORTEST = 6  # "0" or "M" would be found anywhere, and five digits may be a process id

ALL = (*CONTENTS, *NAMES)
CSV = {"Content-Type": "text/csv"}
JSON = {"Content-Type": "application/json"}
UPLOAD, NAME = "Hallifaxworth_Ottoline", "Hallifaxworth"
PASSWORD = "quiet rooms at dusk"
SETTINGS = {"sweep_interval_s": "1", "log_format": "json"}  # text logs leave lines out
Line = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def job(service: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of the job of an upload that has been predicted and labelled."""
    folder = tmp_path_factory.mktemp("sent")
    answer = service.run("submit", write_upload(folder), "--wait", "--json")
    assert answer.stdout.count('"predicted"') >= 3, answer.stderr
    assert answer.stdout.count('"rejected"') >= 5, answer.stderr
    labels = service.run("label", write_labels(folder))
    assert "2 labels added" in labels.stdout, labels.stdout + labels.stderr
    (job_id,) = {json.loads(line)["job_id"] for line in answer.stdout.splitlines()}
    return str(job_id)


def all_files(service: Service) -> list[Path]:
    return [path for path in service.folder.rglob("*") if path.is_file()]


def is_database(path: Path) -> bool:
    return path.name.startswith("overread.sqlite3")


def test_data_folder_and_logs_name_no_patient(service: Service) -> None:
    files = all_files(service)
    assert any(is_database(path) for path in files)
    assert any("stored" in path.parts for path in files)
    for path in files:
        forbidden = CONTENTS if is_database(path) else ALL
        assert find_words(path.read_bytes(), forbidden) == [], path.relative_to(service.folder)
    rows = b"".join(path.read_bytes() for path in files if is_database(path))
    assert set(find_words(rows, NAMES)) == set(NAMES), "the search finds what is there"


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
            answer = get_picture(person, path)
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
    assert len(kept) > 10, "otherwise searching for them would prove nothing"
    return {text.encode() for text in kept}


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
    """Pixels: "12345678" may be a gray ramp there."""
    return "inputs" in path.parts


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
        400: program.post(uploads, content=b'{"files": [Quackenbush', headers=JSON),
        415: program.post(uploads, content=b'{"files": [Quackenbush'),
    }
    for status, answer in answers.items():
        assert answer.status_code in (status, 422), f"{status}: {answer.text[:200]}"
        assert find_words(answer.content, ALL) == [], status
    assert {answer.status_code for answer in answers.values()} >= {400, 404, 413, 415, 422}
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
        wait_until(lambda: "no such table" in service.log, what="an error")
    finally:
        rename(database, "image_away", "image")
    assert {answer.status_code for answer in answers} <= {500, 503}
    stored = [path for path in (service.data_dir / "files").rglob("*") if "stored" in path.parts]
    for path in stored:
        if path.is_file():
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
            path.write_bytes(b"\x89PNG\r\n\x1a\nQuackenbush")
    results = program.get("/api/v1/results?format=json").json()["results"]
    shown = [f"/api/v1/images/{one['image_id']}/display" for one in results]
    displays = [get_picture(person, path) for path in shown]
    assert any(answer.status_code == 404 for answer in displays)
    answers += displays
    for answer in answers:
        assert find_words(answer.content, ALL) == []
    assert "Traceback" in service.log
    assert find_words(service.log.encode(), ALL) == []


def rename(database: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")


def _send(url: str, raw: bytes) -> None:
    """Send an invalid request."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=WITHIN_S) as line:
        line.sendall(raw)
        line.recv(1000)


def _lines(service: Service, job: str = "") -> list[Line]:
    """Complete lines only; with `job`, those about it."""
    lines = [json.loads(line) for line in service.log.rpartition("\n")[0].splitlines()]
    return [line for line in lines if not job or job in (line.get("job"), *line.get("jobs", ()))]


def test_job_id_is_logged_by_every_process_that_works_on_it(service: Service, job: str) -> None:
    loggers = {("portal", "web.http.request_log"), ("portal", "worker.enqueue")}
    # It predicts in the same step.
    loggers |= {("ingest", f"worker.{name}") for name in ("app", "chunks")}

    def seen() -> set[tuple[str, str]]:
        return {(line["process"], line["logger"]) for line in _lines(service, job)}

    wait_until(lambda: loggers <= seen(), what="every logger")


def test_requests_are_logged_by_route_and_user(service: Service, job: str) -> None:
    lines = _lines(service, job)
    requests = [one for one in lines if one["logger"] == "web.http.request_log"]
    made = next(one for one in requests if one["route"] == "/api/v1/jobs")
    assert (made["method"], made["status"], made["user"]) == ("POST", 201, 1)
    assert made["duration_ms"] > 0
    nudges = (one for one in lines if one["logger"] == "worker.enqueue")
    nudge = next(one for one in nudges if one["process"] == "portal")  # not of a sweep
    assert nudge["request"] in {one["request"] for one in requests}


def test_logs_hold_no_names_from_requests(service: Service, person: httpx.Client) -> None:
    for path in (f"/studies?person={NAME}", f"/{NAME}"):
        person.get(path)
    person.get(f"/api/v1/jobs/{NAME}", headers={"X-Request-ID": f"{NAME} {NAME}"})
    person.get("/healthz", headers={"X-Request-ID": "given-by-a-proxy"})
    for line in (f"GET /{NAME}", f"GET / HTTP/1.1\r\nX-{NAME} {NAME}"):
        _send(service.url, f"{line}\r\n\r\n".encode())
    wait_until(lambda: "an invalid request" in service.log, what="its refusal")
    wait_until(lambda: "given-by-a-proxy" in service.log, what="the last one")
    assert find_words(service.log.encode(), ALL) == []


def test_every_log_line_is_json_with_its_process(service: Service) -> None:
    lines = _lines(service)
    assert {line["process"] for line in lines} >= {"portal", "ingest", "predict"}
    assert any("Listening at" in line["message"] for line in lines), "gunicorn's own lines"
    assert all(line["time"] for line in lines if "level" in line)


@pytest.fixture(scope="module")
def secrets(service: Service) -> dict[str, str]:
    """Every kind of secret, each used once validly and once invalidly."""
    found = {"the local token": service.token}
    found |= json.loads((service.data_dir / "secrets.json").read_text())
    found["a login link"] = _token_in(login_link(service))
    added = service.run("users", "add", "olga", "--role", "reader")
    found["an invitation"] = _token_in(added.stdout)
    made = service.run("tokens", "add", "night upload", "--role", "operator", "--days", "7")
    found["an API token"] = made.stdout.strip()
    found["a session"], found["a password"] = _log_in(service, found), PASSWORD
    assert all(len(secret) > 15 for secret in found.values())
    return found


def _token_in(printed: str) -> str:
    found = re.search(r"#([\w-]+)", printed)
    assert found is not None, printed
    return found[1]


def _log_in(service: Service, found: dict[str, str]) -> str:
    with httpx.Client(base_url=service.url, timeout=WITHIN_S) as browser:
        csrf = {"csrf_token": proof(browser, "/welcome")}
        wrong = csrf | {"name": "olga", "password": f"{PASSWORD}!"}
        assert browser.post("/login", data=wrong).status_code == 403
        form = csrf | {"token": found["an invitation"], "password": PASSWORD, "again": PASSWORD}
        assert browser.post("/welcome", data=form).status_code == 303
        assert "olga · reader" in browser.get("/").text
        session = browser.cookies["overread"]
    with httpx.Client(base_url=service.url, timeout=WITHIN_S) as browser:
        for _ in range(2):  # the second time it is refused
            follow_link(browser, f"/login/link#{found['a login link']}")
        bearer = {"Authorization": f"Bearer {found['an API token']}"}
        assert browser.get("/api/v1/jobs", headers=bearer).is_success
    return session


def test_database_holds_no_tokens_or_passwords(service: Service, secrets: dict[str, str]) -> None:
    kept = b"".join(path.read_bytes() for path in service.data_dir.glob("overread.sqlite3*"))
    assert b"$argon2id$" in kept
    assert [name for name, secret in secrets.items() if secret.encode() in kept] == []


def test_data_folder_is_readable_by_owner_only(service: Service, secrets: dict[str, str]) -> None:
    paths = [service.data_dir, *service.data_dir.rglob("*")]
    modes = {str(path.relative_to(service.data_dir)): _mode(path) for path in paths}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def _mode(path: Path) -> int:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:  # deleted by the running service
        return 0
    return 0 if stat.S_ISLNK(mode) else stat.S_IMODE(mode)


def test_process_list_and_logs_hold_no_names_and_secrets(
    service: Service, secrets: dict[str, str]
) -> None:
    """Runs last, when everything has been logged. Every user can read arguments of processes."""
    shown = "\n".join(map(command_line, service.processes()))
    assert "gunicorn" in shown
    assert "celery" in shown
    assert "/api/v1/jobs/" in service.log, "requests are logged"
    assert "/welcome" in service.log
    open_to_many = f"{shown}\n{service.log}"
    assert [name for name, secret in secrets.items() if secret in open_to_many] == []
    assert find_words(f"{open_to_many}\n{service.output}".encode(), ALL) == []
    assert list(service.data_dir.rglob("*.log")) == [], "there are other logs to search"


def test_find_words_finds_every_spelling() -> None:
    for content in (
        "Grünspanhügel".encode("utf-16-le"),
        b"Gr%C3%BCnspanh%C3%BCgel",
        json.dumps("xGrünspanhügelx").encode(),
        b"eEdyw7xuc3Bhbmjdfg eEdyw7xuc3BhbmjDvGdlbHg=",
    ):
        assert find_words(content, ["Grünspanhügel"]) == ["Grünspanhügel"], content
    assert find_words(b"Gruenspanhuegel", CONTENTS) == []
