"""Starts the service's processes for `up` and `demo`."""

import errno
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from http.client import HTTPException
from typing import TextIO
from urllib.request import ProxyHandler, build_opener

import click
from click.exceptions import Exit

from cli.errors import Failed, UsageProblem
from cli.lockfile import RunningService, announce, hold_data_folder, is_held, running_service
from cli.service import processes
from cli.service.child import in_child
from cli.service.supervisor import Supervisor
from cli.settings import REMOTE_VARIABLES, CommandSettings
from models.config.secrets import local_token_path, read_secrets
from models.config.settings import Settings
from worker.embedded_broker import BrokerProgram, is_answering, is_private, prepare_broker

READY_WITHIN_S = 60.0
LINK_LIFETIME = timedelta(minutes=15)


@contextmanager
def start_service(
    settings: CommandSettings, *, log: TextIO = sys.stderr
) -> Iterator[tuple[Supervisor, RunningService]]:
    """Run all processes inside the `with` block; they are stopped in order at its end.

    Raises AlreadyRunningError, UsageProblem (port in use), Failed (not ready in time), and Exit
    (stopped before everything was running).
    """
    os.umask(0o077)  # of all its processes: their files are readable by the owner only
    with hold_data_folder(settings.data_dir):
        port = _choose_port(settings)
        with Supervisor(environment=_environment(settings, port=port), log=log) as supervisor:
            log_once = cache(supervisor.log)
            _wait_for(supervisor, lambda: try_upgrade(settings, log_once), "the database")
            broker = _broker(settings)
            supervisor.environment["OVERREAD_BROKER_URL"] = broker.url
            if broker.command:
                supervisor.start(processes.broker(broker))
            _wait_for(supervisor, lambda: is_answering(broker.url), "the broker")
            if broker.command and not is_private(broker.url):
                raise Failed("the embedded broker answers without its password, and was stopped")
            portal = processes.portal(host=settings.host, port=port)
            # What nobody waits for is started last: it would slow the others down.
            first, last = [processes.INGEST, portal], [processes.BEAT, processes.TRAIN]
            (last if settings.one_step else first).insert(0, processes.PREDICT)
            supervisor.start(*first)
            service = RunningService(
                url=local_url(settings.host, port),
                broker_url=broker.url,
                token_file=str(local_token_path(settings.data_dir)),
                pid=os.getpid(),
                handover=str(settings.files_dir / "temporary"),
            )
            _wait_for(supervisor, lambda: _is_answering(service.url), "the portal")
            supervisor.log(f"the portal answers at {service.url}")
            _wait_for(supervisor, supervisor.are_all_ready, "a worker")
            supervisor.start(*last)
            announce(settings.data_dir, service)
            yield supervisor, service


def login_link(settings: Settings, url: str) -> str:
    """Create a one-time login link. Raises Failed and SecretsError."""
    from models.installation import check_on_connect
    from models.people.tokens import issue_token
    from models.people.users import ADMIN, find_user
    from models.session import open_database

    secrets = read_secrets(settings.data_dir)
    with open_database(settings) as sessions:
        check_on_connect(sessions.engine, secrets, data_dir=settings.data_dir)
        with sessions.begin() as session:
            user = find_user(session, ADMIN)
            if user is None:
                raise Failed("the database has no user yet; start the service with: overread up")
            token = issue_token(session, user=user, kind="login", lifetime=LINK_LIFETIME)
    return f"{url}/login/link#{token}"


def print_running(settings: Settings, url: str) -> None:
    click.echo(f"\nOverread is running at {url}. {_way_in(settings, url)}\n")
    click.echo("Research use only. Press Ctrl-C to stop.\n")


def print_already_running(settings: Settings) -> None:
    """The service of another supervisor, which may still be starting, and a login link."""
    deadline = time.monotonic() + READY_WITHIN_S
    while (service := running_service(settings.data_dir)) is None:
        if time.monotonic() > deadline or not is_held(settings.data_dir):
            raise Failed("another supervisor uses the data folder but does not become ready")
        time.sleep(0.1)
    click.echo(f"Already running at {service.url}. {_way_in(settings, service.url)}\n")


def _way_in(settings: Settings, url: str) -> str:
    """A login link, unless it would be kept in a log."""
    if not sys.stdout.isatty():
        return "For a login link run: overread login-link"
    # In a child process, which frees the memory of its imports when it ends.
    command = [sys.executable, "-m", "cli", "login-link"]
    environment = {**os.environ, "OVERREAD_DATA": str(settings.data_dir), "OVERREAD_URL": url}
    made = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        return "For a login link run: overread login-link"
    return f"One-time login link:\n\n  {made.stdout.strip()}"


def try_upgrade(settings: Settings, log: Callable[[str], None]) -> bool:
    """Upgrade the database; False while its server, which may be starting, is away."""
    if why := in_child(_upgrade, settings):
        log(f"waiting for the database: {why}")
    return not why


def _upgrade(settings: Settings) -> str:
    """Returns why the database is away."""
    from models.operations.upgrade import upgrade
    from models.session import AWAY, why_away

    try:
        upgrade(settings)
    except AWAY as error:
        if settings.is_sqlite:  # there is no server to wait for
            raise
        return why_away(error)
    return ""


def _choose_port(settings: CommandSettings) -> int:
    if port := usable_port(settings.host, settings.port):
        return port
    raise UsageProblem(
        f"port {settings.port} is in use; "
        f"choose another: OVERREAD_PORT={settings.port + 1} overread up"
    )


def _broker(settings: Settings) -> BrokerProgram:
    if settings.broker_url:
        return BrokerProgram((), settings.broker_url)
    password = read_secrets(settings.data_dir).broker_password
    return prepare_broker(settings.data_dir / "broker", password=password)


def _environment(settings: Settings, *, port: int) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k not in REMOTE_VARIABLES}
    return environment | {
        "OVERREAD_DATA": str(settings.data_dir),
        "OVERREAD_PORT": str(port),
        **temporary_folder(settings),
        "PYTHONUNBUFFERED": "1",
        # Celery warns root about pickled messages; ours are JSON only.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }


def temporary_folder(settings: Settings) -> dict[str, str]:
    """gunicorn and large uploads need one: where the machine has none, in the data folder."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        folder = settings.data_dir / "temporary"
        folder.mkdir(mode=0o700, exist_ok=True)
        return {"TMPDIR": str(folder)}
    return {}


def local_url(host: str, port: int) -> str:
    """Of the portal as seen from this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://{processes.join_address(shown, port)}"


def _is_answering(url: str) -> bool:
    """A portal that is not ready may be needed to mend what is wrong."""
    no_proxy = build_opener(ProxyHandler({}))
    try:
        with no_proxy.open(f"{url}/health", timeout=2.0):
            return True
    except (OSError, HTTPException):
        return False


def _wait_for(supervisor: Supervisor, is_ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_ready():
        supervisor.step(timeout_s=0.05)
        if supervisor.is_stopping:
            raise Exit(0)
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not answer within {READY_WITHIN_S:g} s; see the log")


def usable_port(host: str, port: int) -> int:
    """Return the port, for 0 any free one, or 0 if it is in use.

    Raises UsageProblem if the host is not an address of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        # As gunicorn does: a port with lingering connections is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if port and error.errno == errno.EADDRINUSE:
                return 0
            raise UsageProblem(f"cannot listen on {host}, port {port}: {error.strerror}") from None
        return int(listener.getsockname()[1])
