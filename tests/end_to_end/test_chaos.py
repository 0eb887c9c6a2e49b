"""A short storm: real faults at random moments during a job; `make chaos` is the long one."""

import re
import subprocess
import sys

import pytest

from tests.support.servers.processes import ROOT

pytestmark = pytest.mark.processes

FAULTS = 9
OPTIONS = ("--images", "90", "--faults", str(FAULTS), "--seed", "9642", "--no-people")


def test_nothing_is_lost() -> None:
    """On both databases at once, since a storm mostly waits: for starts, pauses and leases."""
    storms = {database: begin(database) for database in ("sqlite", "postgresql")}
    told = {database: storm.communicate() for database, storm in storms.items()}
    for database, (report, log) in told.items():
        sys.stdout.write(report)  # a run that passes may be read, too: pytest -rP
        assert storms[database].returncode == 0, report + log
        # On a fast machine the job may end before the last of them find anything to hit.
        counted = re.search(r"(\d+) faults, losses: 0\b", report)
        assert counted is not None, report
        assert int(counted[1]) >= FAULTS - 2, report


def begin(database: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", *OPTIONS, "--database", database],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
