"""A short storm: real faults at random moments during a job; `make chaos` is the long one."""

import re
import subprocess
import sys

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.processes

FAULTS = 9


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost(database: str) -> None:
    command = ["tests.chaos.run", "--images", "150", "--faults", str(FAULTS), "--seed", "9642"]
    storm = subprocess.run(
        [sys.executable, "-m", *command, "--database", database],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(storm.stdout)  # a run that passes may be read, too: pytest -rP
    assert storm.returncode == 0, storm.stdout + storm.stderr
    # On a fast machine the job may end before the last of them find anything to hit.
    counted = re.search(r"(\d+) faults, losses: 0\b", storm.stdout)
    assert counted is not None, storm.stdout
    assert int(counted[1]) >= FAULTS - 2, storm.stdout
