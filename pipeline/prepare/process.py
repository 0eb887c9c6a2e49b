"""A process that only prepares files, so that a hostile file can crash nothing else.

Protocol with `pool`: settings in, `READY` out, then one path in and one answer out, until the
pool closes the pipe or dies.
"""

import os
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from pipeline.errors import RefusedError, damaged, too_large
from pipeline.files.jpeg import DAMAGED, reports_damage
from pipeline.prepare.messages import READY, Answer, DecoderSettings, UnexpectedError
from pipeline.prepare.prepare import prepare

# Of one process. The largest radiograph that `Limits` allows (64 million pixels of 16 bits) takes
# 0.85 of it; an image of that size in colours or floats may not fit, and is refused.
MEMORY_BYTES: Final = 1_000_000_000
_GRACE_S: Final = 2.0
_PIPE_BYTES: Final = 1 << 16  # what Linux keeps


def main(descriptor: int) -> None:
    connection = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool handles Ctrl-C
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patient data
    try:
        settings: DecoderSettings = connection.recv()
        _bound_memory()
        connection.send(READY)
        warnings = _capture_stderr()
        while True:
            connection.send(_answer(connection.recv(), settings, warnings))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the pool has gone


def _answer(path: Path, settings: DecoderSettings, warnings: int) -> Answer:
    """A timer ends this process even within a codec, in case the pool is gone by then."""
    signal.setitimer(signal.ITIMER_REAL, settings.timeout_s + _GRACE_S)
    try:
        _read_all(warnings)  # those of the previous file
        prepared = prepare(path, key=settings.key, limits=settings.limits)
        if reports_damage(_read_all(warnings).decode(errors="replace")):
            # GDCM decodes a damaged lossless JPEG without an error; the damage shows here only.
            return damaged(DAMAGED)
        return prepared
    except RefusedError as refusal:
        return refusal
    except MemoryError:
        return too_large("reading the file takes too much memory")
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        trace = "; ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
        return UnexpectedError(f"{type(error).__name__} at {trace}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bound_memory() -> None:
    """Limit the address space. What loaded libraries reserve without using it does not count."""
    pages = Path("/proc/self/statm").read_text().split()  # proc(5): size, resident, ...
    idle = (int(pages[0]) - int(pages[1])) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (idle + MEMORY_BYTES, idle + MEMORY_BYTES))


def _capture_stderr() -> int:
    """Return where messages that C libraries write to descriptor 2 can be read.

    They quote values from the file, so they are not passed on. More than a pipe holds is lost.
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
        return b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
