"""A process that only prepares files, so that a hostile file can crash nothing else.

Protocol with `pool`: limits, key and time limit in, True out, then one task in and one answer
out, until the pool closes the pipe or dies. A task is a path to prepare, or a path and a heatmap to
draw. An answer is a Prepared, a PNG, a RefusedError, or where the code is at fault a line for the
log: the places in the code, without any value.
"""

import os
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import RefusedError, damaged, too_large
from pipeline.files.jpeg import DAMAGED, reports_damage
from pipeline.limits import Limits
from pipeline.prepare.display import display
from pipeline.prepare.prepare import prepare
from pipeline.types import Prepared

Task = Path | tuple[Path, NDArray[np.float32] | None]

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
        limits, key, timeout_s = connection.recv()
        _bound_memory()
        connection.send(True)
        warnings = _capture_stderr()
        while True:
            task = connection.recv()
            # Ends this process even within a codec, in case the pool is gone by then.
            signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)
            answer = _answer(task, limits, key, warnings)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the pool has gone


def _answer(
    task: Task, limits: Limits, key: bytes | None, warnings: int
) -> Prepared | bytes | RefusedError | str:
    try:
        _read_all(warnings)  # those of the previous file
        if isinstance(task, Path):
            answer: Prepared | bytes = prepare(task, key=key, limits=limits)
        else:
            answer = display(*task, limits=limits)
        if reports_damage(_read_all(warnings).decode(errors="replace")):
            # GDCM decodes a damaged lossless JPEG without an error; the damage shows here only.
            return damaged(DAMAGED)
        return answer
    except RefusedError as refusal:
        return refusal
    except MemoryError:
        return too_large("reading the file takes too much memory")
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        trace = "; ".join(f"{Path(place.filename).name}:{place.lineno}" for place in places)
        return f"{type(error).__name__} at {trace}"


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
