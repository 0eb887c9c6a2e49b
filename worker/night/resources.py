"""Bound a training's cores, priority and memory, so that predictions are not slowed down."""

import os
from functools import cache
from pathlib import Path

from models.config.settings import Settings
from pipeline.errors import PipelineError

NICE = 10  # leaves a training a tenth of a core that predictions want, so that nights end
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
    """The training uses more memory than allowed."""


def bound_this_process(settings: Settings) -> None:
    """Restrict this process and its children to some cores and a low priority.

    Call it before TensorFlow is imported. OpenVINO's engine counts the cores it may use. Calling
    it again changes nothing.
    """
    cores = training_cores(settings, given=_given_cores())
    # Affinity and priority are each thread's own; only later threads inherit them.
    for thread in (int(path.name) for path in TASKS.iterdir()):
        os.sched_setaffinity(thread, cores)
        # Only root may lower a nice value.
        nice = max(NICE, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    _lower_autogroup()
    os.environ.update(dict.fromkeys(THREADS, str(len(cores))))


def training_cores(settings: Settings, *, given: frozenset[int]) -> frozenset[int]:
    """Return the last of the given cores: `train_cores` of them, by default half."""
    count = settings.train_cores or len(given) // 2
    return frozenset(sorted(given)[-min(max(count, 1), len(given)) :])


def check_memory(settings: Settings) -> None:
    """Raises MemoryBoundError. Called regularly: the kernel would kill some process, unlogged."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    used_mb = sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) // 1024
    bound_mb = settings.train_memory_mb
    if used_mb > bound_mb:
        raise MemoryBoundError(
            f"the training uses {used_mb} MB of memory; "
            f"OVERREAD_TRAIN_MEMORY_MB allows {bound_mb} MB"
        )


@cache
def _given_cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def _lower_autogroup() -> None:
    """Where the kernel groups processes by session, nice values count only within a session.

    Done only in a session of the training worker's own, as the supervisor or a container makes
    it: in a terminal it would slow down everything else that runs there.
    """
    # Fields after the program's name, which may hold anything: state, ppid, pgrp, sid, tty.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    if os.getsid(0) not in (os.getpid(), os.getppid()) or fields[4] != "0":
        return
    try:
        AUTOGROUP.write_text(str(NICE), encoding="ascii")
    except OSError:
        return  # not supported or not permitted
