"""Keeps the service's processes running and stops them in order.

    start:  in the caller's order
    stop:   portal and beat -> workers, each with its own timeout -> broker (by Program.rank)

A process that ends is restarted after a pause that doubles each time. Children die with this
process, even if it is killed (parent_watch.py). Common supervisors kill after a fixed few
seconds, which would interrupt a training.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO

from cli.service.processes import Program

PARENT_WATCH = Path(__file__).with_name("parent_watch.py")
LAST_LINES_S = 1.0  # another process may keep the pipe open


class Child:
    """One process. Start it in the main thread: the kernel ties it to the thread that did."""

    def __init__(
        self,
        program: Program,
        *,
        environment: Mapping[str, str],
        log: Callable[[str], None],
        on_exit: Callable[["Child"], None],
    ) -> None:
        self.program = program
        self.started_at = time.monotonic()
        self.is_ready = program.ready_text is None
        self._log = log
        # Prefer the programs of our own environment to those in PATH.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        executable = shutil.which(program.command[0], path=path) or program.command[0]
        watch = [sys.executable, "-S", "-E", str(PARENT_WATCH), str(os.getpid())]
        self.process = subprocess.Popen(
            [*watch, executable, *program.command[1:]],
            env=dict(environment),
            cwd=program.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C reaches only the supervisor, which stops all in order.
            start_new_session=True,
        )
        self._give_input()
        self._copying = threading.Thread(target=self._copy_log, daemon=True)
        self._copying.start()
        threading.Thread(target=self._wait, args=(on_exit,), daemon=True).start()

    def wait_or_kill(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic clock), then kill; return False if killed."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()
            self._copying.join(LAST_LINES_S)

    def kill(self) -> None:
        """Kill the whole process group: its helpers too, if it is dead already."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def _give_input(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(self.program.standard_input.encode())

    def _copy_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.is_ready = self.is_ready or str(self.program.ready_text) in text
            if " INFO " not in text or not any(quiet in text for quiet in self.program.quiet):
                self._log(text)

    def _wait(self, on_exit: Callable[["Child"], None]) -> None:
        self.process.wait()
        on_exit(self)


FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 10.0  # after running this long, the pause starts short again
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    def __init__(self, *, environment: Mapping[str, str], log: TextIO = sys.stderr) -> None:
        self.environment = dict(environment)
        self._output = log
        self._children: dict[str, Child] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, tuple[float, Program]] = {}
        # None asks to stop. A signal handler may put into a SimpleQueue.
        self._events: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        self.is_stopping = False

    def __enter__(self) -> "Supervisor":
        self._handlers = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self, *programs: Program) -> None:
        for program in programs:
            self._children[program.name] = Child(
                program,
                environment=self.environment,
                log=partial(self.log, process=program.name),
                on_exit=self._events.put,
            )

    def run(self) -> None:
        """Run until asked to stop."""
        while not self.is_stopping:
            self.step(timeout_s=None)

    def step(self, *, timeout_s: float | None) -> None:
        """Wait for one event, or until a process is due to start again."""
        self._start_due()
        waits = [due - time.monotonic() for due, _ in self._due.values()]
        waits += [timeout_s] if timeout_s is not None else []
        try:
            child = self._events.get(timeout=max(0.01, min(waits)) if waits else None)
        except queue.Empty:
            return
        if child is None:
            self.is_stopping = True
        elif not self.is_stopping:
            self._plan_restart(child)

    def are_all_ready(self) -> bool:
        return not self._due and all(child.is_ready for child in self._children.values())

    def stop(self) -> None:
        self.is_stopping = True
        self._due.clear()
        ranks = sorted({child.program.rank for child in self._children.values()}, reverse=True)
        for rank in ranks:
            self._stop_together([c for c in self._children.values() if c.program.rank == rank])
        self._children.clear()

    def log(self, text: str, *, process: str = "up") -> None:
        """In the JSON format, lines that are not JSON (the broker's, tracebacks) are wrapped."""
        if self.environment.get("OVERREAD_LOG_FORMAT") != "json":
            text = f"{process:<8}| {text}"
        elif not text.startswith("{"):
            text = json.dumps({"process": process, "message": text})
        self._output.write(text + "\n")
        self._output.flush()

    def _start_due(self) -> None:
        for name, (due, program) in list(self._due.items()):
            if due <= time.monotonic():
                del self._due[name]
                self.start(program)

    def _plan_restart(self, child: Child) -> None:
        child.kill()  # its helpers
        name = child.program.name
        pause = self._pauses.get(name, FIRST_PAUSE_S)
        if time.monotonic() - child.started_at > STEADY_AFTER_S:
            pause = FIRST_PAUSE_S
        self._pauses[name] = min(2 * pause, LONGEST_PAUSE_S)
        self._due[name] = (time.monotonic() + pause, child.program)
        self.log(f"{name} ended with {child.process.returncode}; restarting in {pause:g} s")

    def _stop_together(self, children: Sequence[Child]) -> None:
        for child in children:
            child.process.terminate()
        asked_at = time.monotonic()
        for child in children:
            if not child.wait_or_kill(asked_at + child.program.stop_wait_s):
                self.log(f"{child.program.name} did not stop in time and was killed")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.is_stopping and number == signal.SIGINT:
            # A second Ctrl-C: do not wait.
            for child in list(self._children.values()):
                child.kill()
        self._events.put(None)
