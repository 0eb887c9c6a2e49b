"""The service's processes: one list for the supervisor, the containers and the tests."""

import importlib.util
from dataclasses import dataclass

CELERY = ("celery", "-A", "worker.app")
# Peers' gossip is of no use where the database is the queue; mingling delays the start by a second.
WORKER = (*CELERY, "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle")
READY = " ready."


@dataclass(frozen=True)
class Program:
    """stop_wait_s: how long it may take to finish what it has in hand, once asked to stop.

    says_when_ready: words in its log that mean so; None where nobody waits for it.
    """

    name: str
    command: tuple[str, ...]
    stop_wait_s: float = 10.0
    environment: tuple[tuple[str, str], ...] = ()
    says_when_ready: str | None = None


def portal(*, host: str, port: int) -> Program:
    # One process with threads: it moves bytes and reads rows, the workers do the computing.
    # gunicorn's control socket would lie in the home folder, shared by every instance.
    options = ("--worker-class", "gthread", "--workers", "1", "--threads", "16")
    bind = ("--bind", f"{host}:{port}", "--no-control-socket", "--graceful-timeout", "5")
    return Program("portal", ("gunicorn", *options, *bind, "web.app:create_app()"))


def ingest() -> Program:
    command = (*WORKER, "-n", "ingest@%h", "-Q", "ingest", "--pool", "threads", "-c", "1")
    return Program("ingest", command, stop_wait_s=30.0, says_when_ready=READY)


def predict() -> Program:
    command = (*WORKER, "-n", "predict@%h", "-Q", "predict", "--pool", "threads", "-c", "1")
    return Program("predict", command, stop_wait_s=30.0, says_when_ready=READY)


def train() -> Program:
    command = (*WORKER, "-n", "train@%h", "-Q", "train", "--pool", "prefork", "-c", "1")
    # SIGTERM as SIGQUIT: a training that cannot end soon is handed back, not waited for.
    return Program("train", command, stop_wait_s=45.0, environment=(("REMAP_SIGTERM", "SIGQUIT"),))


def beat() -> Program:
    return Program("beat", (*CELERY, "beat"))


def can_train() -> bool:
    """Looks for TensorFlow without importing it."""
    return importlib.util.find_spec("tensorflow") is not None


def workers() -> list[Program]:
    return [ingest(), predict(), *([train()] if can_train() else [])]
