"""Beat sends the sweeps, whatever happens to the machine's clock."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import worker.beat
from models.config.settings import Settings
from tests.support.servers.processes import environment
from worker.beat import Beat

EVERY_S = 0.05


class Recorded(Beat):
    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent += 1

    sent = 0


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Recorded]:
    app = Celery("test", broker="memory://")  # the current one: schedules look for it
    sweep = {"task": "overread.sweep", "schedule": EVERY_S}
    app.conf.update(beat_schedule={"sweep": sweep}, result_expires=None)
    started = Recorded(app=app, schedule_filename=str(tmp_path / "beat-schedule"), max_interval=1)
    yield started
    started.close()
    worker.beat.app.set_current()


def run(beat: Recorded, ticks: int = 20) -> int:
    """Returns how many were sent."""
    before = beat.sent
    for _ in range(ticks):
        beat.tick()
        time.sleep(EVERY_S / 5)
    return beat.sent - before


@pytest.mark.parametrize("days", [1, -1])
def test_sweeps_go_on_after_a_step_of_the_clock(beat: Recorded, days: int) -> None:
    assert run(beat) > 0
    for entry in beat.schedule.values():  # as if they had last run before the step
        entry.last_run_at += timedelta(days=days)
    beat.populate_heap()
    assert run(beat) > 0


NO_SECRETS = "secrets.json is missing: restore it from a backup"
OTHER = "beat is another application: celery -A worker.beat beat"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("worker.beat beat", NO_SECRETS),
        ("worker.app worker", NO_SECRETS),
        ("worker.app beat", OTHER),  # of earlier releases: it would send nothing
    ],
)
def test_process_that_must_not_start_ends_with_one_line(
    command: str, why: str, settings: Settings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    settings.data_dir.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "celery", "--quiet", "-A", *command.split()],
        cwd=tmp_path,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert why in last
    assert "Traceback" not in done.stderr
