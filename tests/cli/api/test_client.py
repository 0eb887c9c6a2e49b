"""The client against a small server that misbehaves on purpose."""

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from cli.api.client import Client
from cli.api.errors import Refused, WrongOffsetError
from cli.api.tls import trust, why_distrusted
from cli.errors import Failed
from tests.support.servers.command import run

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
    """Takes its manners from `manners`, a request at a time; well-behaved when they run out."""

    manners: list[str | int] = []  # noqa: RUF012  emptied and filled by each test
    bodies: list[bytes] = []  # noqa: RUF012
    offset = 0  # said with every 409
    late_s = 0.4
    words = media_type = ""

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        manner = self.manners.pop(0) if self.manners else 200
        if manner == "hang up":
            self.connection.close()
            return
        if manner == "too late":
            time.sleep(self.late_s)
            manner = 504
        if manner == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            manner = 503
        self.bodies.append(body)
        said = {"title": "not now", "files": [{"file": "a"}], "received": 5}
        content = (self.words or json.dumps(said)).encode()
        if manner == "page":
            content = b"<html>"
        self.send_response(200 if manner == "page" else int(manner))
        if manner == 409:
            self.send_header("Upload-Offset", str(self.offset))
        if manner == 301:
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
        """Who is interrupted hangs up: no word of that belongs into what a command says."""


@pytest.fixture
def url() -> Iterator[str]:
    Misbehaving.manners, Misbehaving.bodies, Misbehaving.offset = [], [], 0
    Misbehaving.words = Misbehaving.media_type = ""
    with Server(("127.0.0.1", 0), Misbehaving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_request_that_failed_on_the_way_is_sent_again_whole(url: str) -> None:
    Misbehaving.manners = ["hang up", 503, 500]

    with Client(url, "token") as client:
        files = client.send_files("job", [("folder/ä.png", b"all of it")])

    assert files == [{"file": "a"}]
    assert len(Misbehaving.bodies) == 3, "twice refused, once taken"
    assert all(
        b"all of it" in body and "folder/ä.png".encode() in body for body in Misbehaving.bodies
    )


def test_a_job_that_is_asked_for_again_is_the_same_job(url: str) -> None:
    Misbehaving.manners = ["hang up", 503]

    with Client(url, "token") as client:
        client.create_job("name")
        client.create_job("name")

    first, again, other = (json.loads(body)["key"] for body in Misbehaving.bodies)
    assert first == again != other


def test_a_service_that_stays_away_is_given_up(url: str) -> None:
    Misbehaving.manners = [503] * 50

    with Client(url, "token", patience_s=0.5) as client, pytest.raises(Failed, match="not now"):
        client.create_job("name")


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_refusal_is_not_repeated(url: str, status: int) -> None:
    Misbehaving.manners = [status]

    with Client(url, "token") as client, pytest.raises(Failed, match="not now"):
        client.create_job("name")
    assert len(Misbehaving.bodies) == 1


def test_other_bytes_are_asked_for(url: str) -> None:
    Misbehaving.manners, Misbehaving.offset = [409], 5

    with Client(url, "token") as client, pytest.raises(WrongOffsetError) as wrong:
        client.send_chunk("job", 1, b"abc", offset=0)
    assert wrong.value.offset == 5


def test_a_request_that_is_still_at_work_is_waited_for(url: str) -> None:
    """The same offset as ours: nothing is wrong with these bytes, somebody sends them already."""
    Misbehaving.manners = [409, 409]

    with Client(url, "token") as client:
        assert client.send_chunk("job", 1, b"abc", offset=0)["received"] == 5
    assert Misbehaving.bodies == [b"abc"] * 3


def test_a_proxy_that_loses_patience_does_not_end_a_long_request(url: str) -> None:
    """Nor does what the service needs to finish it: it answers, so it is not away."""
    Misbehaving.manners = ["too late", 409]

    with Client(url, "token", patience_s=0.3) as client:
        assert client.send_chunk("job", 1, b"abc", offset=0)["received"] == 5
    with Client(url, "token", patience_s=0.0) as client:
        Misbehaving.manners = [409, 409]
        assert client.send_chunk("job", 1, b"abc", offset=0)["received"] == 5


def test_whoever_waits_can_be_stopped(url: str) -> None:
    Misbehaving.manners = [503] * 50

    with Client(url, "token") as client:
        client.on_wait = lambda _: client.stop()
        with pytest.raises(Failed, match="not now"):
            client.create_job("name")
    assert len(Misbehaving.bodies) == 1


def test_what_answers_in_another_way_is_said_in_one_line(url: str) -> None:
    Misbehaving.manners = ["page", 301, 301]

    with Client(url, "token") as client:
        with pytest.raises(Failed, match="not as Overread does"):
            client.job("job")
        with pytest.raises(Failed, match="leads to https://elsewhere/"):
            client.job("job")
        with (
            pytest.raises(Failed, match="leads to https://elsewhere/"),
            client.stream_results(job_id=None, format_="csv"),
        ):
            pytest.fail("no results would look like none there")


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "not as Overread does"), (413, "a proxy .* takes no request of 8 MiB")],
)
def test_a_refusal_of_someone_in_between_ends_it(url: str, status: int, why: str) -> None:
    """Were it taken for the service's, files would be given up as if they were at fault."""
    Misbehaving.manners, Misbehaving.words = [status], "<html>"

    with Client(url, "token") as client, pytest.raises(Failed, match=why) as failed:
        client.send_chunk("job", 1, bytes(2**23), offset=0)
    assert not isinstance(failed.value, Refused)


def test_results_are_waited_for_as_anything_else(url: str) -> None:
    Misbehaving.manners, Misbehaving.media_type = [503, 429], "text/csv"

    with Client(url, "token") as client:
        with client.stream_results(job_id=None, format_="csv") as lines:
            assert len(list(lines)) == 1
        Misbehaving.media_type = "text/html"
        with (
            pytest.raises(Failed, match="not as Overread does"),
            client.stream_results(job_id=None, format_="csv"),
        ):
            pytest.fail("a page is no table")


def test_what_does_not_speak_tls_is_not_asked_again(url: str) -> None:
    with (
        Client(url.replace("http:", "https:"), "token") as client,
        pytest.raises(Failed, match="does not speak TLS"),
    ):
        client.job("job")


def test_a_certificate_of_nobody_known_is_named_with_its_remedy() -> None:
    distrust = ssl.SSLCertVerificationError("certificate verify failed")
    distrust.verify_message = "self-signed certificate"
    error = httpx.ConnectError("failed")
    error.__cause__ = distrust

    assert "self-signed certificate); SSL_CERT_FILE" in (why_distrusted(error) or "")


def test_the_authority_of_a_hospital_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = trust("https://overread").cert_store_stats()["x509_ca"]
    own = tmp_path / "authority.pem"
    own.write_text(AUTHORITY)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))

    names = [one["subject"] for one in trust("https://x").get_ca_certs()]
    assert ((("commonName", "authority of a test"),),) in names
    assert len(names) > public / 2, "the public ones count, too"


@pytest.mark.parametrize("url", ["overread", "http://[", "http://a:99999", "ftp://a", "http://"])
def test_an_address_is_looked_at_before_it_is_asked(url: str) -> None:
    result = run("jobs", OVERREAD_URL=url, OVERREAD_TOKEN="token")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: OVERREAD_URL: ")


def test_a_token_that_is_none_is_not_repeated_in_the_error() -> None:
    result = run("jobs", OVERREAD_URL="http://127.0.0.1:1", OVERREAD_TOKEN="geheim é")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: OVERREAD_TOKEN: ")
    assert "geheim" not in result.stderr


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Also where a shell in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_is_said_as_shells_say_it(url: str) -> None:
    Misbehaving.manners = ["interrupt"]

    result = run("jobs", OVERREAD_URL=url, OVERREAD_TOKEN="token")

    assert (result.exit_code, result.stderr) == (130, "Error: interrupted\n")
