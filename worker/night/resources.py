"""What keeps a training from hurting predictions: its cores, its place in the queue, its memory."""

import os
import sys
from functools import cache
from pathlib import Path

from models.config.settings import Settings
from pipeline.errors import PipelineError

BEHIND = 10  # nice value: a tenth of a core that predictions want too, so that nights do end
AUTOGROUP = Path("/proc/self/autogroup")
STATUS = Path("/proc/self/status")
TASKS = Path("/proc/self/task")
# Read by TensorFlow and by numpy's BLAS when they are first imported.
THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


class MemoryBoundError(PipelineError):
    """The training takes more memory than it may."""


def bound_this_process(settings: Settings) -> None:
    """Some cores only, and behind everything else that wants them. For good, children included.

    Call it before TensorFlow is imported. The affinity bounds OpenVINO too, whose engine counts
    the cores it may use. Calling it again changes nothing.
    """
    if not sys.platform.startswith("linux"):
        os.nice(BEHIND)
        return
    cores = training_cores(settings, given=_given_cores())
    for thread in _threads():
        os.sched_setaffinity(thread, cores)
        # Who is behind already stays there: only root may come forward.
        nice = max(BEHIND, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    _lower_autogroup()
    os.environ.update(dict.fromkeys(THREADS, str(len(cores))))


def training_cores(settings: Settings, *, given: frozenset[int]) -> frozenset[int]:
    """The last of those that the process was given: `train_cores`, or half of them."""
    count = settings.train_cores or len(given) // 2
    return frozenset(sorted(given)[-min(max(count, 1), len(given)) :])


def check_memory(settings: Settings) -> None:
    """Raises MemoryBoundError. Ask it now and then: the kernel would kill without a word, and
    maybe not us.
    """
    used_mb, bound_mb = resident_mb(), settings.train_memory_mb
    if used_mb > bound_mb:
        raise MemoryBoundError(
            f"the training takes {used_mb} MB of memory, more than OVERREAD_TRAIN_MEMORY_MB "
            f"allows ({bound_mb} MB)"
        )


def resident_mb() -> int:
    """Of this process; 0 where the system does not tell."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) // 1024 if sizes else 0


@cache
def _given_cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def _threads() -> list[int]:
    """Affinity and priority are each thread's own; only later threads inherit them."""
    return [int(path.name) for path in TASKS.iterdir()]


def _lower_autogroup() -> None:
    """Where the kernel groups processes by session, nice values count only within a session.

    Done only in a session that is the training worker's alone, as the supervisor makes it, and
    as a container is: in a terminal it would slow down whatever else runs there.
    """
    if os.getsid(0) not in (os.getpid(), os.getppid()) or _has_terminal():
        return
    try:
        AUTOGROUP.write_text(str(BEHIND), encoding="ascii")
    except OSError:
        return  # a kernel without it, or one that does not let us


def _has_terminal() -> bool:
    """Fields behind the program's name, which may hold anything: state, ppid, pgrp, sid, tty."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return fields[4] != "0"
