"""A job's id leads through the logs of all processes; nobody's name and no secret is in them."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from models.local_token import local_token_path
from pipeline.phantom import write_phantom_studies
from tests.builders import make_dicom
from tests.service import Service, wait_until

pytestmark = pytest.mark.processes

NAME = "Mustermann"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("logs"), settings={"log_format": "json"})
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def job(service: Service) -> str:
    """Of files whose names, and whose tags, name a patient; one of them is none."""
    folder = service.folder / NAME
    for number, film in enumerate(write_phantom_studies(folder, studies=2)):
        film.rename(film.with_name(f"{NAME}-{number}{film.suffix}"))
    make_dicom(folder / f"{NAME}.dcm", PatientName=f"{NAME}^Erika", PatientID=f"{NAME}-1")
    (folder / f"{NAME}.txt").write_text(f"about {NAME}")
    sent = service.run("submit", folder, "--wait", "--json", "--name", NAME)
    ids = {json.loads(line)["job_id"] for line in sent.stdout.splitlines()}
    assert len(ids) == 1, sent.stderr
    return ids.pop()


def _send(url: str, raw: bytes) -> None:
    """What no client of ours would."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as line:
        line.sendall(raw)
        line.recv(1000)


def _lines(service: Service) -> list[Line]:
    return [json.loads(line) for line in service.log.splitlines()]


def _about(lines: list[Line], job: str) -> list[Line]:
    return [line for line in lines if line.get("job") == job or job in line.get("jobs", ())]


def test_the_id_is_found_on_every_station(service: Service, job: str) -> None:
    found = _about(_lines(service), job)
    seen = {(line["process"], line["logger"]) for line in found}
    assert ("portal", "web.request_log") in seen
    assert ("portal", "worker.enqueue") in seen, "the nudge as it was sent"
    assert ("ingest", "worker.app") in seen, "the same nudge as it arrived"
    assert ("ingest", "worker.chunks") in seen
    assert ("ingest", "worker.enqueue") in seen
    assert ("predict", "worker.app") in seen
    assert ("predict", "worker.chunks") in seen


def test_requests_are_logged_by_route_and_user(service: Service, job: str) -> None:
    requests = [one for one in _about(_lines(service), job) if one["logger"] == "web.request_log"]
    made = next(one for one in requests if one["route"] == "/api/v1/jobs")
    assert (made["method"], made["status"], made["user"]) == ("POST", 201, 1)
    assert made["duration_ms"] > 0
    nudge = next(one for one in _about(_lines(service), job) if one["logger"] == "worker.enqueue")
    assert nudge["request"] in {one["request"] for one in requests}


def test_nothing_secret_and_nobodys_name_is_logged(service: Service, job: str) -> None:
    token = local_token_path(service.data_dir).read_text().strip()
    link = next(word for word in service.run("login-link").stdout.split() if "/login?" in word)
    with httpx.Client(base_url=service.url, follow_redirects=True) as browser:
        browser.get(link)
        browser.get(f"/studies?person={NAME}")
        browser.get(f"/{NAME}")
        browser.get(f"/api/v1/jobs/{NAME}", headers={"X-Request-ID": f"{NAME} {NAME}"})
        browser.get("/healthz", headers={"X-Request-ID": "given-by-a-proxy"})
    for line in (f"GET /{NAME}", f"GET / HTTP/1.1\r\nX-{NAME} {NAME}"):
        _send(service.url, f"{line}\r\n\r\n".encode())
    wait_until(lambda: "an invalid request" in service.log, within_s=5, what="its refusal")
    wait_until(lambda: "given-by-a-proxy" in service.log, within_s=5, what="the last request")
    secrets = json.loads((service.data_dir / "secrets.json").read_text())
    login_token = link.partition("token=")[2]
    for secret in (NAME, token, login_token, *secrets.values()):
        assert secret not in service.log


def test_everything_is_a_line_of_json_that_says_whose(service: Service, job: str) -> None:
    lines = _lines(service)
    assert {line["process"] for line in lines} >= {"portal", "ingest", "predict"}
    assert any("Listening at" in line["message"] for line in lines), "gunicorn's own, too"
    assert all(line["time"] for line in lines if "level" in line)
