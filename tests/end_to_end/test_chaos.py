"""A short storm: real faults at random moments during a job; `make chaos` is the long one."""

import subprocess
import sys

import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost(database: str) -> None:
    command = ["tests.chaos.run", "--images", "200", "--faults", "9", "--seed", "9642"]
    storm = subprocess.run(
        [sys.executable, "-m", *command, "--database", database],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(storm.stdout)  # a run that passes may be read, too: pytest -rP
    assert storm.returncode == 0, storm.stdout + storm.stderr
    assert "9 faults, losses: 0" in storm.stdout
