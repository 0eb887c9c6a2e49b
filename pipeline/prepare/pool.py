"""Prepares files in separate processes, so that a crash or a hang costs one file only.

Subprocesses rather than `multiprocessing`, whose spawned children import the parent's main
module: for a worker or the command line ten times what a decoder needs.
"""

import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError, RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.look_ahead import map_ahead
from pipeline.types import Prepared

log = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 30.0
_BUSY_SHARE: Final = 0.5  # of the time limit; a decoder that used less was suspended, not busy
_LOOK_AHEAD: Final = 4  # files in progress or done, for each process
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # no secrets


class DecoderError(PipelineError):
    """A decoder process does not start: a fault of the installation, not of a file."""


class BusyError(PipelineError):
    """All decoder processes are busy; try again later."""


class DecoderPool:
    """Prepares files in `processes` processes, which start at once and outlive many files.

    timeout_s: for one file. key: with it, files are de-identified too. Safe to share
    between threads. A context manager; leaving it ends the processes.
    """

    def __init__(
        self,
        *,
        processes: int,
        timeout_s: float,
        limits: Limits = Limits(),
        key: bytes | None = None,
    ) -> None:
        self._decoders = [_Decoder(limits, key, timeout_s) for _ in range(processes)]
        self._idle: SimpleQueue[_Decoder] = SimpleQueue()
        for decoder in self._decoders:
            self._idle.put(decoder)

    def prepare_all(self, paths: Iterable[Path]) -> Iterator[Prepared | RefusedError]:
        """Yield one answer for each path, in order, working only a little ahead.

        Raises DecoderError if a process cannot be started.
        """
        processes = len(self._decoders)
        return map_ahead(self._prepare, paths, threads=processes, ahead=_LOOK_AHEAD * processes)

    def display(
        self, path: Path, heatmap: NDArray[np.float32] | None = None, *, wait_s: float = 1.0
    ) -> bytes | RefusedError:
        """Return a file's picture as PNG (see `display.display`).

        wait_s: for a process that is free. Raises BusyError if none is by then, DecoderError if
        one cannot be started.
        """
        try:
            decoder = self._idle.get(timeout=wait_s)
        except Empty:
            raise BusyError("all decoders are busy") from None
        try:
            drawn: bytes | RefusedError = decoder.answer((path.absolute(), heatmap))
            return drawn
        finally:
            self._idle.put(decoder)

    def process_ids(self) -> list[int]:
        return [decoder.process.pid for decoder in self._decoders]

    def close(self) -> None:
        """End the processes; files in progress are abandoned."""
        for decoder in self._decoders:
            decoder.end()
        for decoder in [self._idle.get() for _ in self._decoders]:  # waits until no thread uses it
            decoder.clean_up()
            self._idle.put(decoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _prepare(self, path: Path) -> Prepared | RefusedError:
        decoder = self._idle.get()
        try:
            prepared: Prepared | RefusedError = decoder.answer(path.absolute())
            return prepared
        finally:
            self._idle.put(decoder)


class _Decoder:
    """One decoder process, restarted after a crash or a hang.

    Used by one thread at a time, except `end`, which any thread may call.
    """

    def __init__(self, limits: Limits, key: bytes | None, timeout_s: float) -> None:
        self._settings, self._timeout_s = (limits, key, timeout_s), timeout_s
        self._has_ended = False
        self._lock = threading.Lock()  # held while the process is replaced or ended for good
        self._start()

    def answer(self, task: Any) -> Any:
        """Blame a file only for two crashes in a row, or for using up its time.

        A process may also be killed or suspended because the machine is short of memory.
        """
        answer, may_be_innocent = self._try(task)
        if may_be_innocent and not self._has_ended:
            answer, _ = self._try(task)
        if isinstance(answer, str):
            log.error("decoding failed unexpectedly: %s", answer)
            return RefusedError(RefusalCode.UNEXPECTED, "an unexpected error while decoding")
        return answer

    def _try(self, task: Any) -> tuple[Any, bool]:
        """Return the answer (see `process`), and whether the file may not be at fault for it."""
        self._await_ready()
        began_s = _cpu_seconds(self.process.pid)
        try:
            self._connection.send(task)
            if self._connection.poll(self._timeout_s):
                return self._connection.recv(), False
        except (EOFError, OSError):
            self._restart()
            crash = "the decoder crashed on this file"
            return RefusedError(RefusalCode.DECODER_CRASH, crash), True
        worked_s = _cpu_seconds(self.process.pid) - began_s
        self._restart()
        timeout = f"decoding took longer than {self._timeout_s:g} s"
        was_suspended = worked_s < _BUSY_SHARE * self._timeout_s
        return RefusedError(RefusalCode.DECODER_TIMEOUT, timeout), was_suspended

    def end(self) -> None:
        """Kill the process for good. A thread that waits for its answer sees the pipe close."""
        with self._lock:
            self._has_ended = True
            self.process.kill()

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        self._connection.close()

    def _restart(self) -> None:
        with self._lock:
            if not self._has_ended:
                self.clean_up()
                self._start()

    def _start(self) -> None:
        self._is_ready = False
        self._connection, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.prepare.process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_environment(),
        )
        theirs.close()
        with suppress(OSError):  # it has ended already, which `_await_ready` notices
            self._connection.send(self._settings)

    def _await_ready(self) -> None:
        """Return when the process can take a file; replace one that died or did not start."""
        if self.process.poll() is not None:
            self._restart()
        if not (self._is_ready or self._becomes_ready()):
            self._restart()
            if not self._becomes_ready():
                raise DecoderError("a decoder process did not start; see stderr for the reason")

    def _becomes_ready(self) -> bool:
        try:
            self._is_ready = self._connection.poll(_START_TIMEOUT_S) and self._connection.recv()
        except (EOFError, OSError):
            self._is_ready = False
        return self._is_ready


def _cpu_seconds(process_id: int) -> float:
    """Return the CPU time of a process (proc(5), stat); infinite if it is not known."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    passed_on = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # BLAS threads would take memory, and nothing here multiplies large matrices.
    return passed_on | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
