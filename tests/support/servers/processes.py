"""Worker and beat processes, started as the supervisor starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cli.service.processes import BEAT, INGEST, PREDICT
from models.config.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
PROGRAMS = {program.name: program for program in (INGEST, PREDICT, BEAT)}


def environment(settings: Settings) -> dict[str, str]:
    """Return an environment in which another process reads the same settings."""
    given = settings.model_dump(exclude_unset=True)
    return dict(os.environ) | {f"{PREFIX}{name.upper()}": str(v) for name, v in given.items()}


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


@contextmanager
def starter(settings: Settings, *, logs: Path) -> Iterator[Callable[[str], Process]]:
    """Yield what starts a program by its name; in the end all are killed."""
    with ExitStack() as stack:

        def start(name: str) -> Process:
            command = (sys.executable, "-m", *PROGRAMS[name].command)
            process = Process(command, settings=settings, log=logs / f"{name}.log")
            stack.callback(process.end)
            return process

        yield start


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Children started inside receive SIGINT, even if this process was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
