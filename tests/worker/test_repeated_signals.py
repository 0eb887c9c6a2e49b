import subprocess
import sys

from models.config.settings import Settings
from models.operations.upgrade import upgrade
from tests.support.servers.processes import environment

STOP_TWICE = """
import signal, threading
from models.context import process_context
from worker import tasks

class Interrupted(threading.Event):
    lock = threading.Lock()  # as the one inside threading.Event

    def set(self):
        assert self.lock.acquire(blocking=False), "deadlock"
        signal.raise_signal(signal.SIGTERM)
        super().set()
        self.lock.release()

context = process_context()
object.__setattr__(context, "stopping", Interrupted())
signal.signal(signal.SIGTERM, lambda *_: tasks._stop())
signal.raise_signal(signal.SIGTERM)
print("stopping:", context.stopping.is_set())
"""


def test_worker_stops_when_sigterm_interrupts_its_own_handler(settings: Settings) -> None:
    upgrade(settings)
    command, env = [sys.executable, "-c", STOP_TWICE], environment(settings)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "stopping: True\n", done.stderr
