"""The order within a chunk, and chunks that hang."""

import subprocess
import sys

from models.config.settings import Settings
from models.intake.claims import claim_images
from models.tables.intake import State
from tests.support.data.rows import a_hash, a_job, an_image
from tests.support.servers.databases import Database, make_secrets
from tests.support.servers.processes import ROOT, environment
from worker.chunks import by_turns


def test_by_turns_interleaves_jobs(database: Database) -> None:
    with database.sessions.begin() as session:
        hanging, urgent = a_job(session), a_job(session)
        for content in ("hangs 1", "hangs 2", "hangs 3", "hangs 3"):
            an_image(session, hanging, content=content)
        for content in ("urgent 1", "urgent 2"):
            an_image(session, urgent, content=content)
        claim = claim_images(session, State.RECEIVED, Settings(chunk_size=32))
    order = ["hangs 1", "urgent 1", "hangs 2", "urgent 2", "hangs 3"]
    assert by_turns(claim) == [a_hash(content) for content in order]


# A search that takes years, and holds the interpreter's lock all the while.
SCRIPT = """
import re
from models.config.settings import Settings
from worker.chunks import repeat
from models.context import open_context

def hang(context):
    re.match("(a+)+b", "a" * 100)

repeat(hang, open_context(Settings.read()))
"""


def test_hung_chunk_ends_its_process_with_a_traceback(settings: Settings) -> None:
    brief = settings.model_copy(update={"chunk_time_limit_s": 1, "decode_timeout_s": 1})
    brief.data_dir.mkdir()
    make_secrets(brief.data_dir)
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment(brief),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1
    assert "in hang" in ended.stderr
    assert "aaa" not in ended.stderr, "where, but no values"
