"""One decoder process as the pool sees it: started, asked, and replaced when it fails."""

import errno
import logging
import math
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DecoderError, RefusalCode, RefusedError
from pipeline.limits import Limits
from pipeline.prepare import answers
from pipeline.prepare.wire import Channel, WireError
from pipeline.pseudonym import keyed_pseudonyms, uid_of_hash
from pipeline.types import NO_LOCAL_TERMS, LocalTerms, Prepared

log = logging.getLogger(__name__)

Task = Literal["prepare", "display"]
Answer = Prepared | NDArray[np.uint8] | RefusedError

_START_TIMEOUT_S: Final = 30.0
_BUSY_SHARE: Final = 0.5  # of the time limit; a decoder that used less was suspended, not busy
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")  # no secrets
# mallopt(3): memory of this size is kept for the next file. Returned to the system, it would have
# to be cleared and mapped again for each array, which takes an eighth of an ordinary file's time.
_ALLOCATION: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "MALLOC_TOP_PAD_": str(4 * 2**20),
}
_NO_FILES_FAULT: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True)
class DecoderSettings:
    """timeout_s: for one file. key: of the pseudonyms; it stays in this process.

    program: the module that decodes; tests take another. files: that one process reads. They bound
    what a process that was taken over by one of them can answer for.
    """

    limits: Limits
    timeout_s: float
    key: bytes | None = None
    program: str = "pipeline.prepare.process"
    files: int = 512  # a start takes 0.35 s of CPU time, a film 5 ms


class Decoder:
    """A decoder process, restarted after a crash, a hang, an invalid answer or so many files.

    Used by one thread at a time, except `end`, which any thread may call.
    """

    def __init__(self, settings: DecoderSettings) -> None:
        self._settings = settings
        self._has_ended = False
        self._lock = threading.Lock()  # held while the process is replaced or ended for good
        self._start()

    def containment(self) -> Mapping[str, str]:
        """See `sandbox.contain`."""
        self._await_ready()
        assert self._ready is not None
        return self._ready.containment

    def answer(self, task: Task, path: Path, local_terms: LocalTerms = NO_LOCAL_TERMS) -> Answer:
        """Blame a file only for two crashes in a row, or for using up its time.

        A process may also be killed or suspended because the machine is short of memory.
        """
        answer, may_be_innocent = self._try(task, path, local_terms)
        if may_be_innocent and not self._has_ended:
            answer, _ = self._try(task, path, local_terms)
        self._files += 1
        if self._files >= self._settings.files:
            self._restart()
        return answer

    def _try(self, task: Task, path: Path, local_terms: LocalTerms) -> tuple[Answer, bool]:
        """Return the answer, and whether the file may not be at fault for it."""
        self._await_ready()
        began_s = _cpu_seconds(self.process.pid)
        try:
            with _opened(path, self._settings.limits) as (descriptor, size):
                return self._ask(task, descriptor, size, local_terms), False
        except RefusedError as refusal:
            return refusal, False
        except WireError as error:
            log.error("decoder %d ended: %s", self.process.pid, error)
            self._restart()
            return RefusedError(RefusalCode.DECODER_CRASH, "the decoder's answer is invalid"), False
        except TimeoutError:
            worked_s = _cpu_seconds(self.process.pid) - began_s
            self._restart()
            timeout_s = self._settings.timeout_s
            timeout = f"decoding took longer than {timeout_s:g} s"
            was_suspended = worked_s < _BUSY_SHARE * timeout_s
            return RefusedError(RefusalCode.DECODER_TIMEOUT, timeout), was_suspended
        except (EOFError, OSError):
            self._restart()
            crash = "the decoder crashed on this file"
            return RefusedError(RefusalCode.DECODER_CRASH, crash), True

    def _ask(self, task: Task, descriptor: int, size: int, local_terms: LocalTerms) -> Answer:
        """Raises WireError, TimeoutError, EOFError or OSError: the process cannot be used more."""
        key, channel = self._settings.key, self._channel
        channel.deadline = time.monotonic() + self._settings.timeout_s
        request = {
            "kind": task,
            "bytes": size,
            "deidentify": key is not None,
            "local_terms": local_terms,
        }
        channel.send(request, descriptor=descriptor)
        message, issued = answers.receive(channel), set[tuple[str, str]]()
        if isinstance(message, answers.Questions) and key:
            hashes = keyed_pseudonyms(key)(message.questions)
            for (kind, *_), keyed_hash in zip(message.questions, hashes, strict=True):
                issued.add((kind, uid_of_hash(keyed_hash) if kind == "uid" else keyed_hash))
            channel.send({"hashes": hashes})
            message = answers.receive(channel)
        match message:
            case answers.Refusal():
                return message.error()
            case answers.Fault():
                log.error("decoding failed unexpectedly: %s", message.places)
                return RefusedError(RefusalCode.UNEXPECTED, "an unexpected error while decoding")
            case answers.PreparedFile() if task == "prepare":
                return message.read(channel, issued if key else None)
            case answers.Picture() if task == "display":
                return message.read(channel)
        raise WireError(f"unexpected message: {message.kind}")

    def end(self) -> None:
        """Kill the process for good. A thread that waits for its answer sees the socket close."""
        with self._lock:
            self._has_ended = True
            self.process.kill()

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        self._channel.close()

    def _restart(self) -> None:
        with self._lock:
            if not self._has_ended:
                self.clean_up()
                self._start()

    def _start(self) -> None:
        self._ready: answers.Ready | None = None
        self._files = 0
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self.process = subprocess.Popen(
            [sys.executable, "-m", self._settings.program, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_environment(),
        )
        theirs.close()
        with suppress(OSError):  # it has ended already, which `_await_ready` notices
            limits, timeout_s = asdict(self._settings.limits), self._settings.timeout_s
            self._channel.send({"limits": limits, "timeout_s": timeout_s})

    def _await_ready(self) -> None:
        """Return when the process can take a file; replace one that died or did not start."""
        if self.process.poll() is not None:
            self._restart()
        if not (self._ready or self._becomes_ready()):
            self._restart()
            if not self._becomes_ready():
                raise DecoderError("a decoder process did not start; see stderr for the reason")

    def _becomes_ready(self) -> bool:
        self._channel.deadline = time.monotonic() + _START_TIMEOUT_S
        with suppress(EOFError, OSError, WireError):
            message = answers.receive(self._channel)
            self._ready = message if isinstance(message, answers.Ready) else None
        return self._ready is not None


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[tuple[int, int]]:
    """Open a file to hand over; yields its descriptor and size in bytes.

    Raises RefusedError, and DecoderError where no file can be opened at present.
    """
    try:
        # A pipe without a writer must not block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        if isinstance(error, OSError) and error.errno in _NO_FILES_FAULT:
            raise DecoderError(f"no file can be opened: {reason}") from None
        raise RefusedError(RefusalCode.OTHER, f"the file cannot be read: {reason}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(RefusalCode.OTHER, "the file cannot be read: not a regular file")
        limits.check_bytes(status.st_size)
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


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
    return passed_on | _ALLOCATION | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
