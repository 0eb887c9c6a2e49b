"""Real workers, a real broker, and what happens when one of them is killed during a job."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from sqlalchemy import func, insert, select

from models.config.settings import Settings
from models.context import AppContext, open_context
from models.operations.upgrade import upgrade
from models.tables.intake import Image, Prediction, State
from pipeline.types import PREPROCESSING
from tests.support.data.rows import a_hash, a_job, lapse_leases
from tests.support.data.uploads import a_png, upload
from tests.support.servers.broker import EmbeddedBroker
from tests.support.servers.processes import Process, starter
from tests.support.servers.service import wait_until
from worker import enqueue
from worker.chunks import TURN_S

pytestmark = pytest.mark.processes

QUICK = {"sweep_interval_s": 1, "chunk_size": 8, "decode_processes": 1}
HOLDS = {"ingest": State.RECEIVED, "predict": State.READY}
WITHIN_S = 300.0  # on the slowest machine
AT_ONCE_S = 0.75 * TURN_S  # not at the end of a turn


class Service:
    """A database, a file store and the processes that work on them."""

    def __init__(self, settings: Settings, start: Callable[[str], Process]) -> None:
        self.context: AppContext = open_context(settings)
        self.start = start
        with self.context.sessions.begin() as session:
            self._job = a_job(session)

    def upload(self, count: int, *, first: int = 0) -> None:
        files = {f"a/{n}.png": a_png(seed=n) for n in range(first, first + count)}
        upload(self.context, self._job, files)
        enqueue.nudge_ingest()

    def add_ready(self, name: str, count: int) -> str:
        """A job whose images are read already."""
        store, hashes = self.context.store, [a_hash(f"{name} {n}") for n in range(count)]
        for one in hashes:
            store.put_network_input(one, PREPROCESSING, np.zeros((224, 224), np.uint8))
        with self.context.sessions.begin() as session:
            job_id = a_job(session, name=name).id
            rows = [
                {"job_id": job_id, "file": one, "sha256": one, "size": 1, "state": State.READY}
                for one in hashes
            ]
            session.execute(insert(Image), rows)
        return job_id

    def predicted_during(self, huge: str, small: str) -> int:
        """Images of the huge job that were predicted while the small one waited."""
        of_small = select(func.min(Image.created_at), func.max(Image.finished_at))
        of_huge = select(func.count()).where(Image.job_id == huge)
        with self.context.sessions() as session:
            came, done = session.execute(of_small.where(Image.job_id == small)).one()
            return session.scalar(of_huge.where(Image.finished_at.between(came, done))) or 0

    def states(self) -> Counter[State]:
        with self.context.sessions() as session:
            return Counter(session.scalars(select(Image.state)))

    def leased(self, *states: State) -> int:
        with self.context.sessions() as session:
            leased = select(func.count()).where(
                Image.leased_by.is_not(None), Image.state.in_(states or State)
            )
            return session.scalar(leased) or 0

    def lapse_leases(self) -> None:
        with self.context.sessions.begin() as session:
            lapse_leases(session)

    def wait_until(self, state: State, count: int) -> None:
        what = f"{count} images that are {state}"
        wait_until(lambda: self.states()[state] >= count, within_s=WITHIN_S, what=what)

    def finish(self, count: int) -> None:
        """Wait for so many images, each predicted once."""
        self.wait_until(State.PREDICTED, count)
        assert self.states() == {State.PREDICTED: count}
        with self.context.sessions() as session:
            hashes = list(session.scalars(select(Prediction.sha256)))
        assert len(hashes) == len(set(hashes)) == count


def make_service(
    settings: Settings, broker_url: str, tmp_path: Path, *, one_step: bool = False
) -> Iterator[Service]:
    given = {**QUICK, "broker_url": broker_url, "one_step": one_step}
    settings = settings.model_copy(update=given)
    upgrade(settings)
    enqueue.connect(settings)
    with starter(settings, logs=tmp_path) as start:
        yield Service(settings, start)


@pytest.fixture
def service(settings: Settings, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    yield from make_service(settings, broker_url, tmp_path)


@pytest.fixture
def service_in_one_step(settings: Settings, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    yield from make_service(settings, broker_url, tmp_path, one_step=True)


@pytest.fixture
def service_of_its_own(
    settings: Settings, broker: EmbeddedBroker, tmp_path: Path
) -> Iterator[Service]:
    yield from make_service(settings, broker.url, tmp_path)


def freeze_in_a_chunk(service: Service, worker: Process, *, queue: str) -> None:
    """At a moment when it holds images: the job cannot end without it."""

    def is_frozen_with_images() -> bool:
        worker.freeze()
        if service.leased(HOLDS[queue]):
            return True
        worker.thaw()
        return False

    wait_until(is_frozen_with_images, within_s=WITHIN_S, what="a worker that holds images")


def test_busy_and_idle_workers_stop_quickly_and_leave_nothing_claimed(service: Service) -> None:
    ingest, predict = map(service.start, ("ingest", "predict"))
    service.upload(80)
    service.wait_until(State.PREDICTED, 1)
    freeze_in_a_chunk(service, ingest, queue="ingest")
    assert max(ingest.stop(), predict.stop()) < AT_ONCE_S
    assert service.leased() == 0
    assert service.states()[State.PREDICTED] < 80
    with service.context.sessions() as session:
        waiting = select(Image.attempts).where(Image.state.in_([State.RECEIVED, State.READY]))
        assert set(session.scalars(waiting)) <= {0}
    ingest, predict = map(service.start, ("ingest", "predict"))
    service.finish(80)
    assert max(ingest.stop(), predict.stop()) < AT_ONCE_S, "idle"


def test_killed_workers_lose_nothing(service: Service) -> None:
    service.start("beat")
    service.upload(60)
    for queue in ("ingest", "predict"):
        victim = service.start(queue)
        freeze_in_a_chunk(service, victim, queue=queue)
        victim.kill()
        assert service.leased(HOLDS[queue])
        service.lapse_leases()
        service.start(queue)
        if queue == "ingest":
            service.wait_until(State.READY, 30)  # so that predict will be busy
    service.finish(60)


def test_killed_worker_loses_nothing_in_one_step(service_in_one_step: Service) -> None:
    service = service_in_one_step
    service.start("beat")
    service.upload(60)
    victim = service.start("ingest")
    service.wait_until(State.PREDICTED, 1)
    freeze_in_a_chunk(service, victim, queue="ingest")
    victim.kill()
    assert service.leased(State.RECEIVED)
    service.lapse_leases()
    ingest = service.start("ingest")
    service.finish(60)
    assert ingest.stop() < AT_ONCE_S


def test_killed_broker_loses_nothing(service_of_its_own: Service, broker: EmbeddedBroker) -> None:
    service = service_of_its_own
    beat = service.start("beat")
    wait_until(lambda: has_messages(broker.url), within_s=WITHIN_S, what="beat's first sweep")
    ingest = service.start("ingest")
    service.start("predict")
    service.upload(60)
    freeze_in_a_chunk(service, ingest, queue="ingest")
    broker.kill()
    ingest.thaw()
    service.upload(30, first=60)  # its nudge is lost
    wait_until(
        lambda: "was not sent" in beat.log.read_text(), within_s=WITHIN_S, what="beat's warning"
    )
    broker.start()
    service.finish(90)
    assert "Traceback" not in beat.log.read_text(), "one line for each message"


def has_messages(broker_url: str) -> bool:
    with redis.Redis.from_url(broker_url) as client:
        return bool(client.llen("ingest"))


def test_small_job_does_not_wait_for_a_huge_one(service: Service) -> None:
    huge = service.add_ready("huge", 500)
    service.start("predict")
    service.wait_until(State.PREDICTED, 1)
    small = service.add_ready("small", 10)
    service.wait_until(State.PREDICTED, 510)
    chunk = QUICK["chunk_size"]
    assert service.predicted_during(huge, small) <= 10 + 2 * chunk, "half of each, but for two"


def test_nudges_to_a_dead_broker_return_quickly(settings: Settings, broker: EmbeddedBroker) -> None:
    enqueue.connect(settings.model_copy(update={"broker_url": broker.url}))
    assert enqueue.is_broker_up()
    broker.kill()
    began = time.monotonic()
    enqueue.nudge_ingest()
    assert time.monotonic() - began < AT_ONCE_S
    assert not enqueue.is_broker_up()
    broker.start()
    assert enqueue.is_broker_up()
