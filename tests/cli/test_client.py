"""The client against a small server that misbehaves on purpose."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.answers import WrongOffsetError
from cli.client import Client
from cli.fatal import Failed


class Misbehaving(BaseHTTPRequestHandler):
    """Takes its manners from `manners`, a request at a time; well-behaved when they run out."""

    manners: list[str | int] = []  # noqa: RUF012  emptied and filled by each test
    bodies: list[bytes] = []  # noqa: RUF012
    offset = 0  # said with every 409

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
        self.bodies.append(body)
        said = {"title": "not now", "files": [{"file": "a"}], "received": 5}
        content = b"<html>" if manner == "page" else json.dumps(said).encode()
        self.send_response(200 if manner == "page" else int(manner))
        if manner == 409:
            self.send_header("Upload-Offset", str(self.offset))
        if manner == 301:
            self.send_header("Location", "https://elsewhere/")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Misbehaving.manners, Misbehaving.bodies, Misbehaving.offset = [], [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving) as server:
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
