"""What hangs in a worker itself does not keep its place for ever."""

import subprocess
import sys

from models.config.settings import Settings
from tests.support.servers.processes import ROOT, environment

# A search that takes years, and holds the interpreter's lock all the while.
SCRIPT = """
import re
from models.config.settings import Settings
from worker.chunks import repeat
from models.context import open_context

def hang():
    re.match("(a+)+b", "a" * 100)

repeat(hang, context=open_context(Settings.read()))
"""


def test_a_chunk_that_hangs_ends_its_process_and_says_where(settings: Settings) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment(
            settings.model_copy(update={"chunk_time_limit_s": 1, "decode_timeout_s": 1})
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 1
    assert "in hang" in ended.stderr
    assert "aaa" not in ended.stderr, "where, but no values"
