"""One process of the service: started, listened to, stopped; never left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from cli.processes import Program

TETHER = Path(__file__).with_name("tether.py")
LAST_WORDS_S = 1.0  # more than copying them takes, should something else hold their pipe open


class Child:
    """Start it from the main thread only: the kernel ties its life to the thread that made it."""

    def __init__(
        self,
        program: Program,
        *,
        environment: Mapping[str, str],
        log: TextIO,
        on_exit: Callable[["Child"], None],
    ) -> None:
        self.program = program
        self.started_at = time.monotonic()
        self.is_ready = program.says_when_ready is None
        self._log = log
        self._environment = environment
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(TETHER), str(os.getpid()), *_found(program.command)],
            env={**environment, **dict(program.environment)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C reaches the supervisor alone, which stops things in order.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._copying = threading.Thread(target=self._copy_log, daemon=True)
        self._copying.start()
        threading.Thread(target=self._wait, args=(on_exit,), daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_at

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic clock), then kill. False if it had to be killed."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()
            self._copying.join(LAST_WORDS_S)

    def kill(self) -> None:
        """The whole group: a process that died leaves no helpers behind either."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    def _copy_log(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.is_ready = self.is_ready or str(self.program.says_when_ready) in text
            if " INFO " in text and any(words in text for words in self.program.hushed):
                continue
            write_line(self._log, text, process=self.program.name, environment=self._environment)

    def _wait(self, on_exit: Callable[["Child"], None]) -> None:
        self._process.wait()
        on_exit(self)


def write_line(log: TextIO, text: str, *, process: str, environment: Mapping[str, str]) -> None:
    """Where lines are for machines, what is no JSON (the broker's, a crash's) is wrapped."""
    if environment.get("OVERREAD_LOG_FORMAT") != "json":
        text = f"{process:<8}| {text}"
    elif not text.startswith("{"):
        text = json.dumps({"process": process, "message": text})
    log.write(text + "\n")
    log.flush()


def _found(command: tuple[str, ...]) -> list[str]:
    """Prefer the programs of our own environment, whatever PATH says."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return [shutil.which(command[0], path=places) or command[0], *command[1:]]
