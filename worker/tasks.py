"""Celery's side: each task names its queue, opens the doors, and calls one function."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from celery import signals

from models.operations.heartbeat import give_sign
from worker.app import app
from worker.celery_config import (
    INGEST_TASK,
    NIGHT_TASK,
    PREDICT_TASK,
    REREAD_TASK,
    SWEEP_TASK,
    TIDY_TASK,
)
from worker.chunks import WORLD, plainly, repeat
from worker.context import Doors, process_doors
from worker.enqueue import nudge_ingest, nudge_predict, nudge_queue, nudge_reread

if TYPE_CHECKING:
    from pipeline.decode.pool import DecoderPool
    from worker.predict import LivePredictor

log = logging.getLogger(__name__)

DECODERS_MAY_FINISH_S = 2.0


@app.task(name=INGEST_TASK)  # type: ignore[untyped-decorator]
def ingest() -> None:
    from worker.ingest import ingest_chunk

    doors = process_doors()
    with _passing_failures():
        if repeat(partial(ingest_chunk, doors, _decoder_pool()), doors=doors):
            nudge_ingest()


@app.task(name=PREDICT_TASK)  # type: ignore[untyped-decorator]
def predict() -> None:
    from worker.predict import predict_chunk

    doors = process_doors()
    with _passing_failures():
        if repeat(partial(predict_chunk, doors, _live_predictor()), doors=doors):
            nudge_predict()


@app.task(name=SWEEP_TASK, bind=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> None:
    from worker.sweep import sweep

    doors = process_doors()
    with _passing_failures():
        give_sign(doors.settings.data_dir, self.request.delivery_info["routing_key"])
    with _passing_failures():  # of its own: where no sign can be written, there is still to sweep
        sweep(doors)


@app.task(name=TIDY_TASK)  # type: ignore[untyped-decorator]
def tidy() -> None:
    from models.files.pending import discard_unsettled
    from models.files.purge import discard_noted
    from worker.tidy import (
        discard_forgotten,
        discard_leftovers,
        fill_sop_instance_uids,
        forget_expired_logins,
        watch_audit,
    )

    doors = process_doors()
    steps = (
        partial(discard_forgotten, doors),
        partial(discard_noted, doors.sessions, doors.store),
        partial(discard_unsettled, doors.sessions, doors.store, age_s=2 * doors.settings.lease_s),
        partial(discard_leftovers, doors),
        partial(forget_expired_logins, doors),
        partial(fill_sop_instance_uids, doors),
        partial(watch_audit, doors),
    )
    for step in steps:
        with _passing_failures():
            step()


@app.task(name=REREAD_TASK)  # type: ignore[untyped-decorator]
def reread() -> None:
    from worker.reread import reread_chunk

    doors = process_doors()
    with _passing_failures():
        if repeat(partial(reread_chunk, doors, _live_predictor()), doors=doors):
            nudge_reread()


@app.task(name=NIGHT_TASK)  # type: ignore[untyped-decorator]
def night() -> None:
    from worker.night.resources import bound_this_process
    from worker.night.run import run_night

    doors = process_doors()
    bound_this_process(doors.settings)  # before anything imports TensorFlow
    with _handing_back(doors), _passing_failures():
        run_night(doors)


@contextmanager
def _handing_back(doors: Doors) -> Iterator[None]:
    """This process is the night's alone. Its pool ends it by one of these, and does not ask twice:
    the night goes back, and the process ends.
    """
    signals_of_pool = signal.SIGTERM, signal.SIGQUIT
    before = [signal.signal(one, lambda *_: doors.stopping.set()) for one in signals_of_pool]
    yield
    for one, handler in zip(signals_of_pool, before, strict=True):
        signal.signal(one, handler)
    if doors.stopping.is_set():
        logging.shutdown()
        os._exit(0)


@cache
def _decoder_pool() -> "DecoderPool":
    from pipeline.decode.pool import DecoderPool
    from pipeline.limits import Limits

    doors = process_doors()
    return DecoderPool(
        processes=doors.settings.decode_processes,
        timeout_s=doors.settings.decode_timeout_s,
        limits=Limits(max_bytes=doors.settings.max_file_bytes),
        key=doors.secrets.identity_key,
    )


@cache
def _live_predictor() -> "LivePredictor":
    from worker.predict import LivePredictor

    return LivePredictor()


@contextmanager
def _passing_failures() -> Iterator[None]:
    """The world's failures are retried by the sweeper, whose interval is the back-off."""
    try:
        yield
    except WORLD as error:
        log.warning("interrupted, the sweeper will nudge again: %s", plainly(error))


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _begin(sender: Any, **_: Any) -> None:
    """What waited while no worker ran does not wait for the sweeper too."""
    for queue in sender.app.amqp.queues.consume_from:
        give_sign(process_doors().settings.data_dir, queue)
        nudge_queue(queue)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    """Chunks in hand are finished or handed back; a decoder at work gets a moment, no more."""
    process_doors().stopping.set()
    if _decoder_pool.cache_info().currsize:
        timer = threading.Timer(DECODERS_MAY_FINISH_S, _decoder_pool().close)
        timer.daemon = True
        timer.start()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    if _decoder_pool.cache_info().currsize:
        _decoder_pool().close()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _end_process(exitcode: int, **_: Any) -> None:
    """A pool's process that trained: TensorFlow and OpenVINO sometimes crash while they unload."""
    if "tensorflow" in sys.modules:
        logging.shutdown()
        os._exit(exitcode or 0)
