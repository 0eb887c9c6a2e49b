"""CPU time of a running service by stage: user and system time of all its processes."""

import os
import resource
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psutil

# By what the command line of a stage's processes contains.
SIGNS = {
    "pipeline.prepare.process": "decoders",
    "gunicorn": "portal",
    "-Q ingest": "ingest",
    "-Q predict": "predict",
    "-Q train": "train",
    "worker.app beat": "beat",
    "valkey-server": "broker",
}
SUBMIT, SUPERVISOR, DECODERS = "submit", "supervisor", "decoders"
HAVE_DECODERS = ("portal", "ingest")  # these are replaced after so many files


@contextmanager
def measured_stages(service_pid: int) -> Iterator[dict[str, float]]:
    """Yields seconds by stage, filled at the end; children of this process count as `submit`."""
    spent: dict[str, float] = {}
    before = _seconds(service_pid)
    yield spent
    spent |= {stage: after - before[stage] for stage, after in _seconds(service_pid).items()}


def print_stages(spent: Mapping[str, float], images: int) -> None:
    print(f"core-ms an image by stage; load {os.getloadavg()[0]:.1f}")
    for stage, seconds in sorted(spent.items(), key=lambda one: -one[1]):
        print(f"  {stage:20} {1e3 * seconds / images:8.2f}")
    print(f"  {'all':20} {1e3 * sum(spent.values()) / images:8.2f}", flush=True)


def _seconds(service_pid: int) -> defaultdict[str, float]:
    spent: defaultdict[str, float] = defaultdict(float)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent[SUBMIT] = children.ru_utime + children.ru_stime
    supervisor = psutil.Process(service_pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            stage, times = _stage(process), process.cpu_times()
            spent[stage] += times.user + times.system
            ended = DECODERS if stage in HAVE_DECODERS else stage
            spent[ended] += times.children_user + times.children_system
    return spent


def _stage(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    return next((stage for sign, stage in SIGNS.items() if sign in command), SUPERVISOR)
