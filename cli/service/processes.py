"""The service's processes: one list for the supervisor, the containers and the tests."""

from dataclasses import dataclass

CELERY = ("celery", "--quiet", "-A", "worker.app")
# One for each task, chunk and nudge.
HUSHED = (": Task overread.", " worker.app: ", " worker.chunks: ", " worker.enqueue: ")
# Peers' gossip is of no use where the database is the queue; mingling delays the start by a second.
WORKER = (*CELERY, "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle")


@dataclass(frozen=True)
class Program:
    """What to run, and how the supervisor treats it.

    rank: the lowest stops last. stop_wait_s: how long it may take to finish what it has in hand,
    once asked to stop. says_when_ready: words in its log that mean so; None where nobody waits
    for it. hushed: words in its log, for people, that nobody needs to read every few seconds.
    """

    name: str
    command: tuple[str, ...]
    rank: int = 2
    stop_wait_s: float = 10.0
    environment: tuple[tuple[str, str], ...] = ()
    says_when_ready: str | None = None
    hushed: tuple[str, ...] = ()


def broker(command: tuple[str, ...]) -> Program:
    return Program("broker", (*command, "--loglevel", "warning"), rank=0)


def portal(*, host: str, port: int) -> Program:
    # One process with threads: it moves bytes and reads rows, the workers do the computing.
    # gunicorn's control socket would lie in the home folder, shared by every instance.
    options = ("--worker-class", "web.http.gunicorn.PortalWorker", "--workers", "1")
    threads = ("--threads", "32", "--no-sendfile", "--graceful-timeout", "5")
    bind = ("--bind", f"{host}:{port}", "--no-control-socket")
    # Whom to believe is decided by our own settings (web/http/security.py).
    beliefs = ("--forwarded-allow-ips", "", "--forwarder-headers", "")
    logs = ("--logger-class", "web.http.gunicorn.PortalLogger")
    command = ("gunicorn", *options, *threads, *bind, *beliefs, *logs, "web.app:create_app()")
    return Program("portal", command, hushed=(" web.http.request_log: ", " worker.enqueue: "))


def ingest() -> Program:
    return _worker("ingest", pool="threads", stop_wait_s=30.0)


def predict() -> Program:
    return _worker("predict", pool="threads", stop_wait_s=30.0)


def train() -> Program:
    # SIGTERM as SIGQUIT: a night is handed back and goes on later; nobody waits for its end.
    environment = (("REMAP_SIGTERM", "SIGQUIT"),)
    return _worker("train", pool="prefork", stop_wait_s=45.0, environment=environment)


def beat() -> Program:
    return Program("beat", (*CELERY, "beat"))


def _worker(
    name: str, *, pool: str, stop_wait_s: float, environment: tuple[tuple[str, str], ...] = ()
) -> Program:
    command = (*WORKER, "-n", f"{name}@%h", "-Q", name, "--pool", pool, "-c", "1")
    return Program(
        name,
        command,
        rank=1,
        stop_wait_s=stop_wait_s,
        environment=environment,
        says_when_ready=" ready.",
        hushed=HUSHED,
    )
