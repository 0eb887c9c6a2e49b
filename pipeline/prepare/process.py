"""One process that prepares files, and nothing else: what a hostile file can crash.

The pool's side is `decoder_pool`. Conversation: settings in, `READY` out, then one path in and
one answer out, until the pool closes the pipe or dies.
"""

import os
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from pipeline.errors import RefusalCode, RefusedError
from pipeline.files.jpeg import DAMAGED, tells_of_damage
from pipeline.prepare.messages import READY, Answer, DecoderSettings, Stumble
from pipeline.prepare.prepare import prepare

# What one process may hold. The greatest radiograph that `Limits` allows (64 million pixels of 16
# bits) takes 0.85 of it; a picture in colours or floats of that size may not fit, and is refused.
MEMORY_BYTES: Final = 1_000_000_000
TOO_MUCH_MEMORY: Final = "reading the file takes too much memory"
_GRACE_S: Final = 2.0
_PIPE_BYTES: Final = 1 << 16  # what Linux keeps


def main(descriptor: int) -> None:
    connection = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's business
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patient data
    try:
        settings: DecoderSettings = connection.recv()
        _bound_memory()
        connection.send(READY)
        complaints = _hear_libraries()
        while True:
            connection.send(_answer(connection.recv(), settings, complaints))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the pool has gone


def _answer(path: Path, settings: DecoderSettings, complaints: int) -> Answer:
    """The alarm ends this process even inside a codec, should the pool be gone by then."""
    signal.setitimer(signal.ITIMER_REAL, settings.timeout_s + _GRACE_S)
    try:
        _read_all(complaints)  # of the file before
        prepared = prepare(path, key=settings.key, limits=settings.limits)
        _check_complaints(_read_all(complaints))
        return prepared
    except RefusedError as refusal:
        return refusal
    except MemoryError:
        return RefusedError(RefusalCode.TOO_LARGE, TOO_MUCH_MEMORY)
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        trace = "; ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
        return Stumble(f"{type(error).__name__} at {trace}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bound_memory() -> None:
    """What is reserved but not used, as libraries do when they load, counts on top."""
    pages = Path("/proc/self/statm").read_text().split()  # proc(5): size, resident, ...
    idle = (int(pages[0]) - int(pages[1])) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (idle + MEMORY_BYTES, idle + MEMORY_BYTES))


def _hear_libraries() -> int:
    """Codecs in C write complaints, with values from the file, straight to descriptor 2. Returns
    where they can be read; more than a pipe holds is lost, as all of it is after the next file.
    """
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(theirs, False)
    os.dup2(theirs, 2)
    os.close(theirs)
    return ours


def _read_all(pipe: int) -> bytes:
    try:
        return os.read(pipe, _PIPE_BYTES)
    except BlockingIOError:
        return b""  # nothing was said


def _check_complaints(said: bytes) -> None:
    """GDCM returns a damaged lossless JPEG as if nothing was wrong, and says so here only."""
    if tells_of_damage(said.decode(errors="replace")):
        raise RefusedError(RefusalCode.DAMAGED, DAMAGED)


if __name__ == "__main__":
    main(int(sys.argv[1]))
