"""Cores, priority and memory of a training, measured inside real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.config.settings import Settings
from worker.night.resources import MemoryBoundError, check_memory, training_cores

SCRIPT = """
import json, os, threading, time
from pathlib import Path
from models.config.settings import Settings
from worker.night.resources import bound_this_process

earlier = threading.Thread(target=time.sleep, args=(60,), daemon=True)
earlier.start()
for _ in range(2):
    bound_this_process(Settings())
tasks = [int(path.name) for path in Path("/proc/self/task").iterdir()]
group = Path("/proc/self/autogroup")
print(json.dumps({
    "cores": [sorted(os.sched_getaffinity(task)) for task in tasks],
    "nice": [os.getpriority(os.PRIO_PROCESS, task) for task in tasks],
    "child": os.popen("nice").read().strip(),
    "autogroup": group.read_text() if group.exists() else "",
    "threads": os.environ["TF_NUM_INTRAOP_THREADS"],
}))
"""


def bounded(*, own_session: bool = False) -> dict[str, Any]:
    """Run a process that bounds itself twice and reports."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[3],
        start_new_session=own_session,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def test_bounded_process_has_half_of_the_cores_and_low_priority() -> None:
    given = sorted(os.sched_getaffinity(0))
    half = max(1, len(given) // 2)
    found = bounded()
    assert found["cores"] == [given[-half:]] * 2, "threads that were there before, too"
    nice = max(10, os.getpriority(os.PRIO_PROCESS, 0))
    assert found["nice"] == [nice] * 2
    assert (found["child"], found["threads"]) == (str(nice), str(half))


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel has none")
def test_own_session_gets_low_autogroup_priority() -> None:
    """Nice values count only within a session there."""
    mine = Path("/proc/self/autogroup").read_text()
    assert bounded(own_session=True)["autogroup"].strip().endswith("nice 10")
    assert Path("/proc/self/autogroup").read_text() == mine, "other sessions are unchanged"


def test_training_cores_takes_the_last_ones() -> None:
    given = frozenset({2, 3, 5, 7})
    wanted = {0: {5, 7}, 1: {7}, 3: {3, 5, 7}, 9: {2, 3, 5, 7}}
    for count, cores in wanted.items():
        assert training_cores(Settings(train_cores=count), given=given) == cores
    assert training_cores(Settings(), given=frozenset({4})) == {4}


def test_check_memory_names_the_setting() -> None:
    check_memory(Settings(train_memory_mb=1_000_000))
    with pytest.raises(MemoryBoundError, match=r"OVERREAD_TRAIN_MEMORY_MB allows 1 MB"):
        check_memory(Settings(train_memory_mb=1))
