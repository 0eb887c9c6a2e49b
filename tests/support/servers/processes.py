"""The service's own processes, started as a supervisor or a container starts them."""

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
    """What makes another process read the same settings."""
    given = settings.model_dump(exclude_unset=True)
    return dict(os.environ) | {f"{PREFIX}{name.upper()}": str(v) for name, v in given.items()}


def worker_command(queue: str) -> tuple[str, ...]:
    pool = "prefork" if queue == "train" else "threads"
    return (*WORKER, "-n", f"{queue}@%h", "-Q", queue, "--pool", pool, "-c", "1")


class Process:
    """One process with its log; `stop` is polite, `kill` is not."""

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
        """Returns when it stands still."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self.id, os.WUNTRACED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self, *, timeout_s: float = 60.0) -> float:
        """Returns how long it took; one that is frozen finds the request when it thaws."""
        began = time.monotonic()
        self._process.terminate()
        self.thaw()
        self._process.wait(timeout_s)
        return time.monotonic() - began

    def end(self) -> None:
        """Whatever is left of it and of its children."""
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
    """A child that is started meanwhile hears SIGINT, also where a shell in the background has it
    ignored, which children inherit.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
