"""Claim and record are one transaction each; what a killed worker leaves is found by the sweep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from sqlalchemy import Connection, event

from models.context import AppContext
from models.files.garbage import collect_garbage
from models.session import Sessions
from models.tables.intake import Job, ModelVersion, State
from pipeline.prepare.pool import DecoderPool
from tests.support.data.rows import images_in
from tests.support.data.uploads import a_png, files_in, upload
from tests.support.servers.databases import both_databases
from tests.support.servers.kill_points import is_killed
from worker import enqueue
from worker.ingest.chunk import ingest_chunk
from worker.predict import LivePredictor, predict_chunk
from worker.sweep import sweep


@contextmanager
def commits(sessions: Sessions) -> Iterator[list[Connection]]:
    seen: list[Connection] = []

    def note(connection: Connection) -> None:
        seen.append(connection)

    event.listen(sessions.engine, "commit", note)
    try:
        yield seen
    finally:
        event.remove(sessions.engine, "commit", note)


@both_databases
def test_chunk_is_claimed_and_recorded_in_one_transaction_each(
    context: AppContext, pool: DecoderPool, job: Job, production: ModelVersion
) -> None:
    files = {f"a/{n}.png": a_png(seed=n) for n in range(3)}
    upload(context, job, files | {"a/4.txt": b"refused"})
    live = LivePredictor()
    with commits(context.sessions) as seen:
        assert ingest_chunk(context, pool, live)
    assert len(seen) == 2
    assert {image.state for image in images_in(context)} == {State.PREDICTED, State.REJECTED}
    with commits(context.sessions) as seen:
        assert not ingest_chunk(context, pool, live)
    assert len(seen) == 1, "the claim of nothing"


@both_databases
def test_images_of_a_worker_killed_before_its_nudge_are_predicted(
    context: AppContext, pool: DecoderPool, job: Job, production: ModelVersion, broker_url: str
) -> None:
    upload(context, job, {f"a/{n}.png": a_png(seed=n) for n in range(3)})

    def ingest() -> None:
        context.sessions.engine.dispose(close=False)  # its connections are the parent's
        ingest_chunk(context, pool)

    def deletes_an_upload(name: str, arguments: tuple[Any, ...]) -> bool:
        return name == "os.remove" and "/incoming/" in str(arguments[0])

    assert is_killed(ingest, at=deletes_an_upload)
    found = {(image.state, image.attempts, image.leased_by) for image in images_in(context)}
    assert found == {(State.READY, 0, None)}
    enqueue.connect(context.settings.model_copy(update={"broker_url": broker_url}))
    sweep(context)
    with redis.Redis.from_url(broker_url) as broker:
        assert (broker.llen("ingest"), broker.llen("predict")) == (0, 1)
    assert predict_chunk(context, LivePredictor())
    assert {image.state for image in images_in(context)} == {State.PREDICTED}
    assert len(files_in(context.store, "incoming")) == 3
    collect_garbage(context.sessions, context.store, lease_s=0, age_s=0)
    assert files_in(context.store, "incoming") == []
