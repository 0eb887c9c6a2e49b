"""A whole service: `overread up` in its own folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cli.lockfile import RunningService, running_service
from models.config.settings import PREFIX

OVERREAD = (sys.executable, "-m", "cli")
WITHIN_S = 300.0  # what a user waits for, on the slowest machine


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    # An empty entry in PYTHONPATH would mean the current folder; the project is installed.
    return plain | {f"{PREFIX}DATA": str(data_dir), f"{PREFIX}PORT": "0"} | given


def overread(
    data_dir: Path, *arguments: str | Path, timeout_s: float = WITHIN_S, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OVERREAD, *map(str, arguments)],
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def wait_until(is_so: Callable[[], object], *, within_s: float = WITHIN_S, what: str) -> float:
    """Return how long it took; fail naming `what` after `within_s`."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass
class Service:
    """`overread up`; its standard output and log are files in `folder`."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    name: str = "data"  # of the data folder
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def data_dir(self) -> Path:
        return self.folder / self.name

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def url(self) -> str:
        found = running_service(self.data_dir)
        assert isinstance(found, RunningService), "it is not running"
        return found.url

    @property
    def token(self) -> str:
        """Of the local API user."""
        return (self.data_dir / "token").read_text().strip()

    def start(self) -> float:
        """Return after how many seconds it printed its login link."""
        started_at = time.monotonic()
        with (self.folder / "output").open("wb") as output, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*OVERREAD, "up"],
                env=environment(self.data_dir, **self.settings),
                stdout=output,
                stderr=log,
            )
        wait_until(self._is_up, what="ready")
        return time.monotonic() - started_at

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return "Overread is running at" in self.output

    def processes(self) -> list[psutil.Process]:
        """The supervisor first, then its children."""
        assert self._process is not None
        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def find_all(self, sign: str) -> list[psutil.Process]:
        """Processes whose command line contains `sign`."""
        return [process for process in self.processes() if sign in command_line(process)]

    def find(self, sign: str) -> psutil.Process:
        found, *_ = self.find_all(sign)
        return found

    def interrupt(self) -> int:
        """Send Ctrl-C; return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=300)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.interrupt()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return overread(self.data_dir, *arguments, **dict[str, Any](self.settings))


def command_line(process: psutil.Process) -> str:
    """Empty for a process that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def still_alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """False for zombies, too."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
