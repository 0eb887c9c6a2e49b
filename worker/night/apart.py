"""Runs a night in a process of its own, and ends it with the worker or at the time limit."""

import logging
import subprocess
import sys
import time
from collections.abc import Sequence

from models.context import AppContext
from models.learning.nights import has_waiting_night

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "worker.night.process")
LOOK_S = 0.2


def run_waiting_night(context: AppContext, *, command: Sequence[str] = COMMAND) -> None:
    """Return when its process has ended: by itself, or as soon as it has given the night back when
    this worker is asked to stop. The supervisor ends the whole process group if that takes long.
    """
    with context.sessions() as session:
        if not has_waiting_night(session):
            return
    deadline = time.monotonic() + context.settings.train_time_limit_s
    process = subprocess.Popen(command)
    while process.poll() is None and not context.stopping.wait(LOOK_S):
        if time.monotonic() > deadline:
            log.error("a night did not end at its time limit and was killed")
            process.kill()
            process.wait()
    if context.stopping.is_set():
        process.terminate()
        process.wait()
    elif process.returncode:
        log.error("the process of a night ended with %d", process.returncode)
