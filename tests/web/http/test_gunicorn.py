"""The portal under gunicorn: slow clients do not block others, proxy headers are ignored."""

import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from email.message import Message
from importlib.metadata import version
from sqlite3 import connect
from urllib.error import HTTPError

import httpx
import pytest

from cli.service.processes import portal
from cli.service.start import usable_port
from models.config.settings import Settings
from models.operations.upgrade import upgrade
from models.people.tokens import issue_token
from models.people.users import make_user
from models.session import open_database
from models.tables.people import Role
from tests.support.servers.portal_server import portal_threads
from tests.support.servers.processes import Process
from tests.support.servers.service import wait_until
from web.http.gunicorn import CROWD, HEALTH_CHECK, IN_A_CROWD_S, PATIENCE_S, PacedSocket, crowd

HOST = "127.0.0.1"
THREADS = 16  # as many idle clients would occupy every thread of the default worker
FORM = (
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\ncsrf_token="
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data=tmp_path_factory.mktemp("portal") / "data")


@pytest.fixture(scope="module")
def port(settings: Settings) -> Iterator[int]:
    settings.data_dir.mkdir()
    upgrade(settings)
    found = usable_port(HOST, 0)
    command = (sys.executable, "-m", *portal(host=HOST, port=found).command)
    process = Process(command, settings=settings, log=settings.data.parent / "log")
    try:
        wait_until(lambda: _is_up(found), within_s=60, what="the portal")
        yield found
    finally:
        process.end()


def _is_up(port: int) -> bool:
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


def ask(port: int, path: str = "/healthz", **headers: str) -> tuple[int, Message]:
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S - 1) as answer:
            return answer.status, answer.headers
    except HTTPError as error:
        return error.code, error.headers


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET /login HTTP/1.1\r\nHost: x\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\n" + FORM,
        b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n",
    ],
    ids=["nothing", "one letter", "half a header", "half a form", "connection left open"],
)
def test_idle_clients_do_not_block_others(port: int, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            stack.enter_context(socket.create_connection((HOST, port))).sendall(sent)
        time.sleep(0.3)
        assert ask(port)[0] == 200, "before any of them has timed out"


def test_idle_clients_get_less_time_when_there_are_many(port: int) -> None:
    """Otherwise the next client would wait for a whole timeout per full set of threads."""
    with ExitStack() as stack:
        for _ in range(2 * portal_threads()):
            stack.enter_context(socket.create_connection((HOST, port))).sendall(b"GET /he")
        assert ask(port)[0] == 200


def test_health_answers_while_every_thread_is_busy(port: int, settings: Settings) -> None:
    with open_database(settings) as sessions, sessions.begin() as session:
        token = issue_token(
            session, user=make_user(session, name="olga", role=Role.OPERATOR), kind="api"
        )
    client = httpx.Client(
        base_url=f"http://{HOST}:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        limits=httpx.Limits(max_connections=None),
    )

    def create(key: int) -> int:
        return client.post("/api/v1/jobs", json={"name": str(key)}).status_code

    more = portal_threads() + 4
    with client, ThreadPoolExecutor(more) as clients:
        with closing(connect(settings.data_dir / "overread.sqlite3")) as writer:
            writer.execute("BEGIN IMMEDIATE")  # all others wait for its end
            jobs = clients.map(create, range(more))
            time.sleep(2)
            began = time.monotonic()
            assert ask(port)[0] == 200
            assert time.monotonic() - began < 2
            assert ask(port, "/readyz")[0] in (200, 503)
        assert set(jobs) == {201}


def test_health_check_that_is_not_whole_gets_no_thread_of_its_own() -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    assert HEALTH_CHECK.fullmatch(whole)[1] == b"healthz"
    assert HEALTH_CHECK.fullmatch(b"HEAD /readyz?x=1 HTTP/1.1\r\n\r\n")[1] == b"readyz"
    with_body = whole.replace(b"Host: x", b"content-Length: 5")
    for other in (
        b"",
        whole[:-2],
        with_body,
        whole + b"GET",
        whole.replace(b"healthz", b"health2"),
    ):
        assert HEALTH_CHECK.fullmatch(other) is None


def test_proxy_headers_are_ignored_without_a_proxy(port: int) -> None:
    status, headers = ask(port, "/login", **{"X-Forwarded-Proto": "https"})
    assert status == 200
    assert "Strict-Transport-Security" not in headers
    assert "Secure" not in headers["Set-Cookie"]
    assert ask(port, "/login", SCRIPT_NAME="//evil.example")[0] == 200


Act = Callable[[PacedSocket, socket.socket], None]


@pytest.mark.parametrize(
    "act",
    [lambda ours, _: ours.recv(10), lambda ours, _: ours.sendall(bytes(2**24))],
    ids=["sends nothing", "reads nothing"],
)
def test_socket_times_out_slow_clients(act: Act) -> None:
    ours, theirs = _pair()
    ours._left_s, ours.slowest = 0.05, 10**9
    with ours, theirs, pytest.raises(ConnectionResetError, match="too slow"):
        act(ours, theirs)


@pytest.mark.parametrize(("clients", "patience_s"), [(0, PATIENCE_S), (CROWD, IN_A_CROWD_S)])
def test_received_bytes_extend_the_time(clients: int, patience_s: float) -> None:
    ours, theirs = _pair()
    with ours, theirs, ExitStack() as stack:
        for _ in range(clients):
            stack.enter_context(crowd.one_more())
        ours.begin()
        assert ours._patience(None) == pytest.approx(patience_s)
        theirs.sendall(bytes(20_000))
        assert len(ours.recv(20_000)) == 20_000
        assert ours._patience(None) == pytest.approx(patience_s + 10.0)


def test_gunicorns_timeout_stays() -> None:
    ours, theirs = _pair()
    ours.settimeout(0.01)
    with ours, theirs:
        assert ours._patience(0.01) == 0.01
        with pytest.raises(TimeoutError):
            ours.recv(1)
        assert ours.gettimeout() == 0.01


def _pair() -> tuple[PacedSocket, socket.socket]:
    ours, theirs = socket.socketpair()
    return PacedSocket(fileno=ours.detach()), theirs


def test_gunicorn_version_matches_the_private_names_in_use() -> None:
    """`PortalWorker.handle` uses `_DEFER` and `TConn` of the threaded worker, which are private."""
    assert version("gunicorn") == "27.0.1"
