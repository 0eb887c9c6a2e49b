"""The service's processes: one list for the supervisor, the containers and the tests."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.embedded_broker import BrokerProgram

CELERY = ("celery", "--quiet", "-A")
# Gossip between workers is useless where the database is the queue; mingling costs a second.
WORKER = (
    *CELERY,
    "worker.app",
    "worker",
    "--loglevel",
    "INFO",
    "--without-gossip",
    "--without-mingle",
)
# INFO lines of each task, chunk and nudge.
QUIET_WORKER = (": Task overread.", " worker.app: ", " worker.chunks: ", " worker.enqueue: ")
QUIET_PORTAL = (" web.http.request_log: ", " worker.enqueue: ")


@dataclass(frozen=True)
class Program:
    """A command, and how the supervisor treats it.

    rank: the lowest stops last. stop_wait_s: time to finish after SIGTERM, before it is killed.
    ready_text: a log line with it means ready; None if nothing waits for it. quiet: INFO lines
    with one of these texts are left out of the log. folder: to run in. standard_input: all of it.
    """

    name: str
    command: tuple[str, ...]
    rank: int = 2
    stop_wait_s: float = 10.0
    ready_text: str | None = None
    quiet: tuple[str, ...] = ()
    folder: Path | None = None
    standard_input: str = field(default="", repr=False)


def broker(program: "BrokerProgram") -> Program:
    given = program.configuration
    return Program("broker", program.command, rank=0, folder=program.folder, standard_input=given)


def join_address(host: str, port: int) -> str:
    """For URLs and gunicorn: an IPv6 address goes into brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def portal(*, host: str, port: int) -> Program:
    # One process with threads: it moves bytes and reads rows, the workers compute.
    # gunicorn's control socket would be in the home folder, shared by all instances.
    options = ("--worker-class", "web.http.gunicorn.PortalWorker", "--workers", "1")
    threads = ("--threads", "32", "--no-sendfile", "--graceful-timeout", "5")
    bind = ("--bind", join_address(host, port), "--no-control-socket")
    # Trusted proxies are a setting of ours (web/http/security.py).
    proxies = ("--forwarded-allow-ips", "", "--forwarder-headers", "")
    logs = ("--logger-class", "web.http.gunicorn.PortalLogger")
    command = ("gunicorn", *options, *threads, *bind, *proxies, *logs, "web.app:create_app()")
    return Program("portal", command, quiet=QUIET_PORTAL)


def _worker(name: str, *, stop_wait_s: float = 30.0) -> Program:
    command = (*WORKER, "-n", f"{name}@%h", "-Q", name, "--pool", "threads", "-c", "1")
    return Program(
        name, command, rank=1, stop_wait_s=stop_wait_s, ready_text=" ready.", quiet=QUIET_WORKER
    )


INGEST = _worker("ingest")
PREDICT = _worker("predict")
# A night, which is a process of its own, is handed back and resumed later.
TRAIN = _worker("train", stop_wait_s=45.0)
BEAT = Program("beat", (*CELERY, "worker.beat", "beat"))
