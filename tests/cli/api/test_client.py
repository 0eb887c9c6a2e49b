"""The client against a small server that misbehaves on purpose."""

import json
import signal
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen

import httpx
import pytest

from cli.api.client import Client
from cli.api.errors import Refused, WrongOffsetError
from cli.api.tls import ssl_context, tls_problem
from cli.errors import Failed
from tests.support.servers.command import run
from tests.support.servers.processes import ROOT, hearing_ctrl_c

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBlDCCATmgAwIBAgIUTG4pXTBqzmA8k9sWcR+qiH8QHsowCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTYXV0aG9yaXR5IG9mIGEgdGVzdDAgFw0yNjExMjMwOTExNDZa
GA8yMTI2MTAzMDA5MTE0NlowHjEcMBoGA1UEAwwTYXV0aG9yaXR5IG9mIGEgdGVz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABByvGQcWI+Pj1CUkCba0FwLuvYHe
H4/5bUlG9u1iZbIYiVUGkgGLeVzvNIiv+NErHw8d6ztY/70ibVirlgJNfh6jUzBR
MB0GA1UdDgQWBBS3/6QBqKgvx04I6XBhFAuYKiFFGTAfBgNVHSMEGDAWgBS3/6QB
qKgvx04I6XBhFAuYKiFFGTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kA
MEYCIQD/mA0y2zheSJnfnsPCQHYoWTG3oUkBQsckLyzNIKbuJgIhAOk72w8Oy+/u
mev46pW2Or/tzcnfohrsYGv2niwQ1AHl
-----END CERTIFICATE-----
"""


class Misbehaving(BaseHTTPRequestHandler):
    """Gives each of `planned`, one per request, then answers well."""

    planned: list[str | int] = []  # noqa: RUF012  set by each test
    bodies: list[bytes] = []  # noqa: RUF012
    offset = 0  # sent with every 409
    delay_s = 0.4
    words = media_type = ""
    is_waiting, may_answer = threading.Event(), threading.Event()  # of the answer "wait"

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = self.planned.pop(0) if self.planned else 200
        if status == "hang up":
            self.connection.close()
            return
        if status == "too late":
            time.sleep(self.delay_s)
            status = 504
        if status == "wait":
            self.is_waiting.set()
            self.may_answer.wait(60)
            status = 503
        self.bodies.append(body)
        said = {"title": "not now", "uploads": [{"id": 7}], "received": 5}
        content = (self.words or json.dumps(said)).encode()
        if status == "page":
            content = b"<html>"
        self.send_response(200 if status == "page" else int(status))
        if status == 409:
            self.send_header("Upload-Offset", str(self.offset))
        if status == 301:
            self.send_header("Location", "https://elsewhere/")
        if self.media_type:
            self.send_header("Content-Type", self.media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """An interrupted client closes its connection; that is not printed."""


@pytest.fixture
def url() -> Iterator[str]:
    Misbehaving.planned, Misbehaving.bodies, Misbehaving.offset = [], [], 0
    Misbehaving.words = Misbehaving.media_type = ""
    with Server(("127.0.0.1", 0), Misbehaving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, "token") as client:
        yield client


def test_failed_request_is_repeated_whole(client: Client) -> None:
    Misbehaving.planned = ["hang up", 503, 500]

    assert client.send_batch("job", {7: b"all ", 8: b"of it"}) == [{"id": 7}]
    assert Misbehaving.bodies == [b"all of it"] * 3, "refused twice, accepted once"


def test_repeated_create_job_has_the_same_key(client: Client) -> None:
    Misbehaving.planned = ["hang up", 503]

    client.create_job("name")
    client.create_job("name")

    first, again, other = (json.loads(body)["key"] for body in Misbehaving.bodies)
    assert first == again != other


def test_client_gives_up_after_its_patience(url: str) -> None:
    Misbehaving.planned = [503] * 50

    with Client(url, "token", patience_s=0.5) as client, pytest.raises(Failed, match="not now"):
        client.create_job("name")


def test_client_gives_up_on_a_disk_that_stays_full(url: str) -> None:
    Misbehaving.planned = [507] * 50

    with Client(url, "token", disk_patience_s=0.1) as client, pytest.raises(Failed) as refused:
        client.create_job("name")
    assert refused.value.exit_code == 1
    assert str(refused.value) == (
        "the service's disk is nearly full; no sent file is lost; run the same command again later"
    )


@pytest.mark.parametrize("status", [401, 403, 422])
def test_refused_request_is_not_repeated(client: Client, status: int) -> None:
    Misbehaving.planned = [status]

    with pytest.raises(Failed, match="not now"):
        client.create_job("name")
    assert len(Misbehaving.bodies) == 1


def test_send_chunk_reports_the_expected_offset(client: Client) -> None:
    Misbehaving.planned, Misbehaving.offset = [409], 5

    with pytest.raises(WrongOffsetError) as wrong:
        client.send_chunk("job", 1, b"abc", offset=0)
    assert wrong.value.offset == 5


@pytest.mark.parametrize(("first", "patience_s"), [("too late", 0.3), (409, 0.0)])
def test_send_chunk_waits_for_an_earlier_request(
    url: str, first: str | int, patience_s: float
) -> None:
    # The offset is the request's own: the bytes are right, another request is sending them.
    Misbehaving.planned = [first, 409]

    with Client(url, "token", patience_s=patience_s) as client:
        assert client.send_chunk("job", 1, b"abc", offset=0)["received"] == 5
    assert Misbehaving.bodies == [b"abc"] * 3


def test_stop_ends_waiting(client: Client) -> None:
    Misbehaving.planned = [503] * 50

    client.on_wait = lambda _: client.stop()
    with pytest.raises(Failed, match="not now"):
        client.create_job("name")
    assert len(Misbehaving.bodies) == 1


def test_responses_of_other_programs_are_refused(client: Client) -> None:
    Misbehaving.planned = ["page", 301, 301]

    with pytest.raises(Failed, match="is not an Overread service"):
        client.job("job")
    with pytest.raises(Failed, match="redirects to https://elsewhere/"):
        client.job("job")
    Misbehaving.media_type = "text/html"
    for why in ("redirects to https://elsewhere/", "is not an Overread service"):
        with (
            pytest.raises(Failed, match=why),
            client.stream_results(job_id=None, format_="csv"),
        ):
            pytest.fail("would look like an empty result")


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "is not an Overread service"), (413, "a proxy .* refused a request of 8 MiB")],
)
def test_refusal_by_a_proxy_is_not_a_fault_of_the_file(
    client: Client, status: int, why: str
) -> None:
    Misbehaving.planned, Misbehaving.words = [status], "<html>"

    with pytest.raises(Failed, match=why) as failed:
        client.send_chunk("job", 1, bytes(2**23), offset=0)
    assert not isinstance(failed.value, Refused)


def test_stream_results_is_repeated(client: Client) -> None:
    Misbehaving.planned, Misbehaving.media_type = [503, 429], "text/csv"

    with client.stream_results(job_id=None, format_="csv") as lines:
        assert len(list(lines)) == 1


def test_missing_tls_is_not_retried(url: str) -> None:
    with (
        Client(url.replace("http:", "https:"), "token") as client,
        pytest.raises(Failed, match="does not speak TLS"),
    ):
        client.job("job")


def test_untrusted_certificate_names_the_remedy() -> None:
    error_of_tls = ssl.SSLCertVerificationError("certificate verify failed")
    error_of_tls.verify_message = "self-signed certificate"
    error = httpx.ConnectError("failed")
    error.__cause__ = error_of_tls

    assert "self-signed certificate); set SSL_CERT_FILE" in (tls_problem(error) or "")


def test_ssl_context_trusts_own_and_public_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = ssl_context("https://overread").cert_store_stats()["x509_ca"]
    own = tmp_path / "authority.pem"
    own.write_text(AUTHORITY)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))

    names = [one["subject"] for one in ssl_context("https://x").get_ca_certs()]
    assert ((("commonName", "authority of a test"),),) in names
    assert len(names) > public / 2, "public authorities are trusted as well"


@pytest.mark.parametrize("url", ["overread", "http://[", "http://a:99999", "ftp://a", "http://"])
def test_invalid_url_is_a_usage_error(url: str) -> None:
    result = run("jobs", OVERREAD_URL=url, OVERREAD_TOKEN="token")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: OVERREAD_URL: ")


def test_invalid_token_is_not_shown() -> None:
    result = run("jobs", OVERREAD_URL="http://127.0.0.1:1", OVERREAD_TOKEN="geheim é")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: OVERREAD_TOKEN: ")
    assert "geheim" not in result.stderr


def test_ctrl_c_exits_with_130(url: str) -> None:
    Misbehaving.planned = ["wait"]
    environment = {"OVERREAD_URL": url, "OVERREAD_TOKEN": "token", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "cli", "jobs"]
    with (
        hearing_ctrl_c(),
        Popen(command, cwd=ROOT, env=environment, stderr=PIPE, text=True) as it,
    ):
        try:
            assert Misbehaving.is_waiting.wait(60)
            it.send_signal(signal.SIGINT)
            stderr = it.communicate(timeout=60)[1]
        finally:
            it.kill()
            Misbehaving.may_answer.set()

    assert (it.returncode, stderr) == (130, "Error: interrupted\n")
