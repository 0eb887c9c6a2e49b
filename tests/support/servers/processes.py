"""Worker and beat processes, started as the supervisor starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.config.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
CELERY = (sys.executable, "-m", "celery", "-A", "worker.app")
WORKER = (*CELERY, "worker", "--without-gossip", "--without-mingle")


def environment(settings: Settings) -> dict[str, str]:
    """Return an environment in which another process reads the same settings."""
    given = settings.model_dump(exclude_unset=True)
    return dict(os.environ) | {f"{PREFIX}{name.upper()}": str(v) for name, v in given.items()}


def worker_command(queue: str) -> tuple[str, ...]:
    pool = "prefork" if queue == "train" else "threads"
    return (*WORKER, "-n", f"{queue}@%h", "-Q", queue, "--pool", pool, "-c", "1")


class Process:
    """One process with its log; `stop` sends SIGTERM, `kill` SIGKILL."""

    def __init__(self, command: tuple[str, ...], *, settings: Settings, log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(settings),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.id = self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Return when it is stopped."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self.id, os.WUNTRACED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self, *, timeout_s: float = 60.0) -> float:
        """Return how long it took. A frozen process is resumed."""
        began = time.monotonic()
        self._process.terminate()
        self.thaw()
        self._process.wait(timeout_s)
        return time.monotonic() - began

    def end(self) -> None:
        """Kill it and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.id, signal.SIGKILL)
        self._process.wait()


class Processes:
    def __init__(self, settings: Settings, *, logs: Path) -> None:
        self._settings, self._logs = settings, logs
        self._running: list[Process] = []

    def worker(self, queue: str) -> Process:
        return self._start(queue, worker_command(queue))

    def beat(self) -> Process:
        return self._start("beat", (*CELERY, "beat"))

    def end(self) -> None:
        for process in self._running:
            process.end()

    def _start(self, name: str, command: tuple[str, ...]) -> Process:
        log = self._logs / f"{name}.log"
        process = Process(command, settings=self._settings, log=log)
        self._running.append(process)
        return process


@contextmanager
def running(settings: Settings, *, logs: Path) -> Iterator[Processes]:
    processes = Processes(settings, logs=logs)
    try:
        yield processes
    finally:
        processes.end()


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Children started inside receive SIGINT, even if this process was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
