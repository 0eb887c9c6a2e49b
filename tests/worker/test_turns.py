"""Whose files come first within a chunk."""

from models.intake.claims import claim_images
from models.tables.intake import State
from tests.support.data.rows import a_hash, a_job, an_image
from tests.support.servers.databases import Database
from worker.chunks import by_turns


def test_a_job_whose_files_use_up_the_time_leaves_some_to_others(database: Database) -> None:
    with database.sessions.begin() as session:
        hanging, urgent = a_job(session), a_job(session)
        for content in ("hangs 1", "hangs 2", "hangs 3", "hangs 3"):
            an_image(session, hanging, content=content)
        for content in ("urgent 1", "urgent 2"):
            an_image(session, urgent, content=content)
        claim = claim_images(session, State.RECEIVED, limit=32, lease_s=60, max_attempts=3)
    order = ["hangs 1", "urgent 1", "hangs 2", "urgent 2", "hangs 3"]
    assert by_turns(claim) == [a_hash(content) for content in order]
