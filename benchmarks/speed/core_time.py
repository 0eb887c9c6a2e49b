"""Core-seconds of the processes of a benchmark: user and system time, from start to end."""

import os
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

# Names of the service's processes, by a part of their command lines.
STAGES: Final = {
    "gunicorn": "portal",
    "ingest@": "ingest",
    "pipeline.prepare.process": "decoders",
    "predict@": "predict",
    "train@": "train",
    "worker.beat": "beat",
    "valkey-server": "broker",
}
SUPERVISOR: Final = "supervisor"
HAVE_DECODERS: Final = ("portal", "ingest")  # which are replaced after so many files


@dataclass(frozen=True)
class Cost:
    wall_s: float
    core_s: float


def cost_of(function: Callable[[], object]) -> Cost:
    """Of this process and all of its threads."""
    wall, core = time.perf_counter(), time.process_time()
    function()
    return Cost(time.perf_counter() - wall, time.process_time() - core)


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[int, bytes, Cost]:
    """Return exit status, standard output and the cost, that of all processes below included."""
    wall, core = time.perf_counter(), _core_s_of_ended()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    cost = Cost(time.perf_counter() - wall, _core_s_of_ended() - core)
    return done.returncode, done.stdout, cost


def _core_s_of_ended() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def core_s_by_stage(service_pid: int) -> dict[str, float]:
    """Core-seconds since their start, decoders that have ended included."""
    stages: dict[str, float] = defaultdict(float)
    service = psutil.Process(service_pid)
    for process in (service, *service.children(recursive=True)):
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        stage = next((name for part, name in STAGES.items() if part in command), SUPERVISOR)
        stages[stage] += times.user + times.system
        ended = "decoders" if stage in HAVE_DECODERS else stage
        stages[ended] += times.children_user + times.children_system
    return stages


def cores() -> int:
    return len(os.sched_getaffinity(0))
