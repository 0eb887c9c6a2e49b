"""Logs, process lists and files of a running service.

A job's id occurs in the logs of all processes. Logs hold no names; logs, process lists and files
that others may read hold no secrets.
"""

import json
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from pipeline.phantom.studies import write_phantom_studies
from tests.support.data.builders import make_dicom
from tests.support.servers.service import Service, command_line, wait_until

pytestmark = pytest.mark.processes

NAME = "Mustermann"
WITHIN_S = 300.0  # on the slowest machine
PASSWORD = "quiet rooms at dusk"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # JSON logs include lines that text logs leave out.
    running = Service(tmp_path_factory.mktemp("traces"), {"log_format": "json"})
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def job(service: Service) -> str:
    """Id of a job whose file names and attributes name a patient; one file is refused."""
    folder = service.folder / NAME
    for number, path in enumerate(write_phantom_studies(folder, studies=2)):
        path.rename(path.with_name(f"{NAME}-{number}{path.suffix}"))
    make_dicom(folder / f"{NAME}.dcm", PatientName=f"{NAME}^Erika", PatientID=f"{NAME}-1")
    (folder / f"{NAME}.txt").write_text(f"about {NAME}")
    sent = service.run("submit", folder, "--wait", "--json", "--name", NAME)
    ids = {json.loads(line)["job_id"] for line in sent.stdout.splitlines()}
    assert len(ids) == 1, sent.stderr
    return ids.pop()


def _send(url: str, raw: bytes) -> None:
    """Send an invalid request."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=WITHIN_S) as line:
        line.sendall(raw)
        line.recv(1000)


def _lines(service: Service) -> list[Line]:
    """Complete lines only."""
    return [json.loads(line) for line in service.log.rpartition("\n")[0].splitlines()]


def _about(lines: list[Line], job: str) -> list[Line]:
    return [line for line in lines if line.get("job") == job or job in line.get("jobs", ())]


def test_job_id_is_logged_by_every_process(service: Service, job: str) -> None:
    loggers = {
        *{
            ("portal", "web.http.request_log"),
            ("portal", "worker.enqueue"),
        },  # the nudge as it was sent
        *{("ingest", "worker.app"), ("ingest", "worker.chunks")},  # the same nudge as it arrived
        *{("ingest", "worker.enqueue"), ("predict", "worker.app"), ("predict", "worker.chunks")},
    }

    def seen() -> set[tuple[str, str]]:
        return {(line["process"], line["logger"]) for line in _about(_lines(service), job)}

    wait_until(lambda: loggers <= seen(), within_s=WITHIN_S, what="every logger")


def test_requests_are_logged_by_route_and_user(service: Service, job: str) -> None:
    requests = [
        one for one in _about(_lines(service), job) if one["logger"] == "web.http.request_log"
    ]
    made = next(one for one in requests if one["route"] == "/api/v1/jobs")
    assert (made["method"], made["status"], made["user"]) == ("POST", 201, 1)
    assert made["duration_ms"] > 0
    nudge = next(one for one in _about(_lines(service), job) if one["logger"] == "worker.enqueue")
    assert nudge["request"] in {one["request"] for one in requests}


def test_logs_hold_no_names(service: Service, job: str) -> None:
    link = f"/login?token={_token_in(service.run('login-link').stdout)}"
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=WITHIN_S) as browser:
        browser.get(link)
        browser.get(f"/studies?person={NAME}")
        browser.get(f"/{NAME}")
        browser.get(f"/api/v1/jobs/{NAME}", headers={"X-Request-ID": f"{NAME} {NAME}"})
        browser.get("/healthz", headers={"X-Request-ID": "given-by-a-proxy"})
    for line in (f"GET /{NAME}", f"GET / HTTP/1.1\r\nX-{NAME} {NAME}"):
        _send(service.url, f"{line}\r\n\r\n".encode())
    wait_until(lambda: "an invalid request" in service.log, within_s=WITHIN_S, what="its refusal")
    wait_until(lambda: "given-by-a-proxy" in service.log, within_s=WITHIN_S, what="the last one")
    assert NAME not in service.log


def test_every_log_line_is_json_with_its_process(service: Service, job: str) -> None:
    lines = _lines(service)
    assert {line["process"] for line in lines} >= {"portal", "ingest", "predict"}
    assert any("Listening at" in line["message"] for line in lines), "gunicorn's own lines"
    assert all(line["time"] for line in lines if "level" in line)


@pytest.fixture(scope="module")
def secrets(service: Service, job: str) -> dict[str, str]:
    """Every kind of secret, each used once validly and once invalidly."""
    found = {"the first link": _token_in(service.output), "the local token": _local_token(service)}
    found |= json.loads((service.data_dir / "secrets.json").read_text())
    found["a login link"] = _token_in(service.run("login-link").stdout)
    added = service.run("users", "add", "olga", "--role", "reader")
    found["an invitation"] = _token_in(added.stdout)
    made = service.run("tokens", "add", "night upload", "--role", "operator", "--days", "7")
    found["an API token"] = made.stdout.strip()
    found["a session"], found["a password"] = _log_in(service, found), PASSWORD
    assert all(len(secret) > 15 for secret in found.values())
    return found


def _local_token(service: Service) -> str:
    return (service.data_dir / "token").read_text().strip()


def _token_in(printed: str) -> str:
    found = re.search(r"token=([\w-]+)", printed)
    assert found is not None, printed
    return found[1]


def _log_in(service: Service, found: dict[str, str]) -> str:
    with httpx.Client(base_url=service.url, timeout=WITHIN_S) as browser:
        page = browser.get("/welcome", params={"token": found["an invitation"]})
        wrong = {"name": "olga", "password": f"{PASSWORD}!", "csrf_token": _csrf_token(page)}
        assert browser.post("/login", data=wrong).status_code == 403
        form = {"token": found["an invitation"], "password": PASSWORD, "again": PASSWORD}
        assert (
            browser.post("/welcome", data=form | {"csrf_token": _csrf_token(page)}).status_code
            == 303
        )
        assert "olga · reader" in browser.get("/").text
        session = browser.cookies["overread"]
    with httpx.Client(base_url=service.url, timeout=WITHIN_S) as browser:
        for _ in range(2):  # the second time it is refused
            browser.get("/login", params={"token": found["a login link"]})
        bearer = {"Authorization": f"Bearer {found['an API token']}"}
        assert browser.get("/api/v1/jobs", headers=bearer).is_success
    return session


def _csrf_token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_process_list_shows_no_secrets(service: Service, secrets: dict[str, str]) -> None:
    """Every user can read arguments; only the owner can read the environment."""
    shown = "\n".join(map(command_line, service.processes()))
    assert "gunicorn" in shown
    assert "celery" in shown
    assert [name for name, secret in secrets.items() if secret in shown] == []


def test_logs_hold_no_secrets(service: Service, secrets: dict[str, str]) -> None:
    logs = [
        service.log,
        *(path.read_text(errors="replace") for path in service.data_dir.rglob("*.log")),
    ]
    assert "/welcome" in service.log, "requests are logged"
    assert [name for name, secret in secrets.items() if secret in "\n".join(logs)] == []


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
