"""Files prepared in processes of their own: a crash or a hang costs that one file.

Plain subprocesses rather than `multiprocessing`: its spawned children import the parent's main
module, which for a worker or the command line is ten times what a decoder needs.
"""

import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from pipeline.errors import PipelineError, RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.look_ahead import map_ahead
from pipeline.prepare.messages import READY, DecoderSettings, Stumble
from pipeline.types import Prepared

log = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 30.0
_BUSY_SHARE: Final = 0.5  # of its time, and a decoder that is late was at work on its file
_LOOK_AHEAD: Final = 4  # files in work or done, for each process
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # secrets stay here


class DecoderError(PipelineError):
    """A decoder process does not start: the installation's fault, not a file's."""


@dataclass(frozen=True)
class _Lost:
    """A process that gave no answer. may_be_innocent: the file, that is."""

    refusal: RefusedError
    may_be_innocent: bool


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
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        key: bytes | None = None,
    ) -> None:
        settings = DecoderSettings(limits=limits, key=key, timeout_s=timeout_s)
        self._decoders = [_Decoder(settings) for _ in range(processes)]
        self._idle: SimpleQueue[_Decoder] = SimpleQueue()
        for decoder in self._decoders:
            self._idle.put(decoder)

    def prepare_all(self, paths: Iterable[Path]) -> Iterator[Prepared | RefusedError]:
        """Yield one answer for each path, in order, reading only a little ahead.

        Raises DecoderError if a process cannot be started.
        """
        processes = len(self._decoders)
        return map_ahead(self._prepare, paths, threads=processes, ahead=_LOOK_AHEAD * processes)

    def process_ids(self) -> list[int]:
        return [decoder.process_id for decoder in self._decoders]

    def close(self) -> None:
        """End the processes; files in work are given up."""
        for decoder in self._decoders:
            decoder.end()
        for decoder in [self._idle.get() for _ in self._decoders]:  # no thread uses them any more
            decoder.clean_up()
            self._idle.put(decoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self, path: Path) -> Prepared | RefusedError:
        decoder = self._idle.get()
        try:
            return decoder.prepare(path)
        finally:
            self._idle.put(decoder)


class _Decoder:
    """One decoder process, started anew after a crash or a hang.

    Used by one thread at a time, but for `end`, which any thread may call.
    """

    def __init__(self, settings: DecoderSettings) -> None:
        self._settings = settings
        self._has_ended = False
        self._lock = threading.Lock()  # held while processes begin or end for good
        self._start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    def prepare(self, path: Path) -> Prepared | RefusedError:
        """A file is to blame only for what it does twice, or for using up its time.

        A process may also end or stand still because the machine was short of memory or stopped it.
        """
        answer = self._try(path)
        if isinstance(answer, _Lost) and answer.may_be_innocent and not self._has_ended:
            answer = self._try(path)
        if isinstance(answer, _Lost):
            return answer.refusal
        if isinstance(answer, Stumble):
            log.error("decoding failed unexpectedly: %s", answer.trace)
            return RefusedError(RefusalCode.UNEXPECTED, "an unexpected error while decoding")
        if not isinstance(answer, (Prepared, RefusedError)):
            raise TypeError(f"Expected Prepared or RefusedError. Received: {type(answer)}")
        return answer

    def _try(self, path: Path) -> object:
        self._await_ready()
        timeout_s, began_s = self._settings.timeout_s, _cpu_seconds(self.process_id)
        try:
            self._connection.send(path.absolute())
            if self._connection.poll(timeout_s):
                return self._connection.recv()
        except (EOFError, OSError):
            self._restart()
            crash = RefusedError(RefusalCode.DECODER_CRASH, "the decoder crashed on this file")
            return _Lost(crash, may_be_innocent=True)
        worked_s = _cpu_seconds(self.process_id) - began_s
        self._restart()
        sentence = f"decoding took longer than {timeout_s:g} s"
        timeout = RefusedError(RefusalCode.DECODER_TIMEOUT, sentence)
        return _Lost(timeout, may_be_innocent=worked_s < _BUSY_SHARE * timeout_s)

    def end(self) -> None:
        """Kill the process for good. Whoever waits for its answer sees the pipe close."""
        with self._lock:
            self._has_ended = True
            self._process.kill()

    def clean_up(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _restart(self) -> None:
        with self._lock:
            if not self._has_ended:
                self.clean_up()
                self._start()

    def _start(self) -> None:
        self._is_ready = False
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.prepare.process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_environment(),
        )
        theirs.close()
        with suppress(OSError):  # it has ended already, which is noticed when it is needed
            self._connection.send(self._settings)

    def _await_ready(self) -> None:
        """Return when the process can take a file; one that died or never came up is replaced."""
        if self._process.poll() is not None:
            self._restart()
        if self._is_ready or self._becomes_ready():
            return
        self._restart()
        if not self._becomes_ready():
            raise DecoderError("a decoder process did not start; its reason is on stderr")

    def _becomes_ready(self) -> bool:
        try:
            self._is_ready = (
                self._connection.poll(_START_TIMEOUT_S) and self._connection.recv() == READY
            )
        except (EOFError, OSError):
            self._is_ready = False
        return self._is_ready


def _cpu_seconds(process_id: int) -> float:
    """That a process has used so far; infinite where the kernel does not tell (proc(5), stat)."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Threads of the algebra library would cost memory, and nothing here multiplies matrices.
    return passed_on | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
