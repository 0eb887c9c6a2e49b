"""The service on this machine: everything that `up` and `demo` start."""

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

import httpx

from cli.errors import Failed, UsageProblem
from cli.lockfile import (
    RunningService,
    announce,
    hold_data_folder,
    is_held,
    running_service,
)
from cli.service import processes
from cli.service.supervisor import Supervisor
from cli.settings import REMOTE_VARIABLES, CommandSettings
from models.config.secrets import read_or_make_secrets
from models.config.settings import Settings
from models.operations.upgrade import upgrade
from models.people.tokens import issue_token, local_token_path
from models.people.users import ADMIN, find_user
from models.session import AWAY, open_database, why_away
from worker.embedded_broker import BrokerProgram, is_answering, prepare_broker

READY_WITHIN_S = 60.0
LINK_LIFETIME = timedelta(minutes=15)


class StoppedError(Exception):
    """Someone asked to stop before everything was up."""


@contextmanager
def start_service(
    settings: CommandSettings, *, log: TextIO = sys.stderr
) -> Iterator[tuple[Supervisor, RunningService]]:
    """Everything runs inside the `with` block and is stopped, in order, after it.

    Raises AlreadyRunningError, UsageProblem (port taken), Failed (it does not come up), and
    StoppedError.
    """
    os.umask(0o077)  # for all processes that it starts: what they write is their owner's alone
    with hold_data_folder(settings.data_dir):
        port = _choose_port(settings)
        broker = _broker(settings)
        environment = _environment(settings, broker_url=broker.url, port=port)
        with Supervisor(environment=environment, log=log) as supervisor:
            if broker.command:
                supervisor.start(processes.broker(broker.command))
            _wait_for(supervisor, Upgrade(settings, supervisor.say), "the database")
            _wait_for(supervisor, lambda: is_answering(broker.url), "the broker")
            portal = processes.portal(host=settings.host, port=port)
            supervisor.start(processes.ingest(), processes.predict(), portal)
            service = RunningService(
                url=_url(settings.host, port),
                broker_url=broker.url,
                token_file=str(local_token_path(settings.data_dir)),
                pid=os.getpid(),
            )
            _wait_for(supervisor, lambda: _is_ready(service.url), "the portal")
            _wait_for(supervisor, supervisor.are_all_ready, "a worker")
            # Nobody waits for these, so they do not slow the others' start down.
            supervisor.start(processes.beat(), processes.train())
            announce(settings.data_dir, service)
            yield supervisor, service


def login_link(settings: Settings, url: str) -> str:
    """A fresh link that logs in once, within the next quarter of an hour."""
    with open_database(settings) as sessions, sessions.begin() as session:
        user = find_user(session, ADMIN)
        if user is None:
            raise Failed("the database has no user yet; start the service first: overread up")
        token = issue_token(session, user=user, kind="login", lifetime=LINK_LIFETIME)
    return f"{url}/login?token={token}"


def wait_for_running(settings: Settings) -> RunningService:
    """The service that another supervisor holds, which may still be starting."""
    deadline = time.monotonic() + READY_WITHIN_S
    while (service := running_service(settings.data_dir)) is None:
        if time.monotonic() > deadline or not is_held(settings.data_dir):
            raise Failed("another supervisor holds the data folder but does not become ready")
        time.sleep(0.1)
    return service


class Upgrade:
    """Brings the database up to date; False while a server does not answer, which may start yet."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say, self._said = settings, say, ""

    def __call__(self) -> bool:
        try:
            upgrade(self._settings)
            return True
        except AWAY as error:
            if self._settings.is_sqlite:  # nobody will start it
                raise
            if (why := why_away(error)) != self._said:
                self._say(f"waiting for the database: {why}")
            self._said = why
            return False


def _choose_port(settings: CommandSettings) -> int:
    if settings.port == 0:
        return free_port(settings.host)
    if not is_free(settings.host, settings.port):
        raise UsageProblem(
            f"port {settings.port} is taken by another program; "
            f"choose another: OVERREAD_PORT={settings.port + 1} overread up"
        )
    return settings.port


def _broker(settings: Settings) -> BrokerProgram:
    if settings.broker_url:
        return BrokerProgram((), settings.broker_url)
    password = read_or_make_secrets(settings.data_dir).broker_password
    return prepare_broker(settings.data_dir / "broker", password=password)


def _environment(settings: Settings, *, broker_url: str, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in REMOTE_VARIABLES}
    ours = {
        "OVERREAD_DATA": str(settings.data_dir),
        "OVERREAD_BROKER_URL": broker_url,
        "OVERREAD_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        # Celery warns root because of pickled messages; ours are JSON only.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }
    return kept | ours


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  compared, not bound
    return f"http://{shown}:{port}"


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _wait_for(supervisor: Supervisor, is_there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_there():
        supervisor.step(timeout_s=0.05)
        if supervisor.is_stopping:
            raise StoppedError
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not answer within {READY_WITHIN_S:g} s; the log says why")


def is_free(host: str, port: int) -> bool:
    """Raises UsageProblem where nobody could listen, whether it is free or not."""
    return _listen(host, port) is not None


def free_port(host: str) -> int:
    """Raises UsageProblem."""
    port = _listen(host, 0)
    if port is None:
        raise UsageProblem(f"all ports of {host} are taken")
    return port


def _listen(host: str, port: int) -> int | None:
    """The port, for a moment; None where another program has it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        # As gunicorn binds: a port whose last connections linger counts as free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise UsageProblem(f"cannot listen on {host}, port {port}: {error.strerror}") from None
        found: int = listener.getsockname()[1]
        return found
