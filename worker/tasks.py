"""The Celery tasks: each opens the process's context and calls one function."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any

from celery import signals

from models.context import AppContext, process_context
from models.files.presence import require_store
from worker import celery_config
from worker.app import app
from worker.chunks import VersionError, passing_failures, repeat
from worker.enqueue import NUDGES, nudge_ingest, nudge_predict, nudge_reread
from worker.vitals import Pulse

if TYPE_CHECKING:
    from pipeline.prepare.pool import DecoderPool
    from worker.predict import LivePredictor

log = logging.getLogger(__name__)

DECODER_GRACE_S = 2.0

_pulse = Pulse()


@app.task(name=celery_config.INGEST_TASK)  # type: ignore[untyped-decorator]
def ingest() -> None:
    from worker.ingest.chunk import ingest_chunk

    live = _live_predictor() if process_context().settings.one_step else None
    _work(lambda context: ingest_chunk(context, _decoder_pool(), live), nudge=nudge_ingest)


@app.task(name=celery_config.PREDICT_TASK)  # type: ignore[untyped-decorator]
def predict() -> None:
    from worker.predict import predict_chunk

    _work(lambda context: predict_chunk(context, _live_predictor()), nudge=nudge_predict)


@app.task(name=celery_config.REREAD_TASK)  # type: ignore[untyped-decorator]
def reread() -> None:
    from worker.reread import reread_chunk

    _work(lambda context: reread_chunk(context, _live_predictor()), nudge=nudge_reread)


def _work(chunk: Callable[[AppContext], bool], *, nudge: Callable[[], None]) -> None:
    """Work for one turn; then other tasks get theirs, and a nudge continues this one."""
    context = process_context()
    with _counting_failures():
        has_more = repeat(chunk, context)
        _pulse.succeeded()
        if has_more:
            nudge()


@contextmanager
def _counting_failures() -> Iterator[None]:
    """Also those that no retry mends: the portal tells senders, the sweep tries again."""
    try:
        yield
    except Exception as error:
        if isinstance(error, VersionError):
            _live_predictor().forget()
        _pulse.failed(error)


@app.task(name=celery_config.SWEEP_TASK, bind=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> None:
    from worker.sweep import sweep

    context = process_context()
    check_pulse(context, self.request.delivery_info["routing_key"])
    with passing_failures():
        sweep(context)


def check_pulse(context: AppContext, queue: str) -> None:
    with _counting_failures():
        check_able(context, queue)
        if _pulse.vitals.problem:
            NUDGES[queue]()  # a task shows whether it lasts, also if no image waits


def check_able(context: AppContext, queue: str) -> None:
    """What can be known between tasks. Raises StoreAwayError and VersionError."""
    require_store(context.store.root)
    if queue == celery_config.PREDICT:
        _live_predictor().open_production(context)


@app.task(name=celery_config.TIDY_TASK)  # type: ignore[untyped-decorator]
def tidy() -> None:
    from models.files.garbage import collect_garbage
    from models.people.local_token import keep_local_token
    from worker.tidy import (
        fill_sop_instance_uids,
        forget_expired_logins,
        trim_pictures,
        watch_audit,
    )
    from worker.verify import mend_damage, verify_due_shares

    context = process_context()
    steps = (
        partial(collect_garbage, context.sessions, context.store, lease_s=context.settings.lease_s),
        partial(trim_pictures, context),
        partial(forget_expired_logins, context),
        partial(keep_local_token, context.sessions, context.settings.data_dir),
        partial(fill_sop_instance_uids, context),
        partial(watch_audit, context),
        partial(verify_due_shares, context),
        partial(mend_damage, context, _decoder_pool),
    )
    for step in steps:
        with passing_failures():
            step()


@app.task(name=celery_config.NIGHT_TASK)  # type: ignore[untyped-decorator]
def night() -> None:
    from worker.night.apart import run_waiting_night

    with passing_failures():
        run_waiting_night(process_context())


@cache
def _decoder_pool() -> "DecoderPool":
    from worker.decoders import open_decoders

    context = process_context()
    return open_decoders(context.settings, key=context.secrets.identity_key)


@cache
def _live_predictor() -> "LivePredictor":
    from worker.predict import LivePredictor

    return LivePredictor()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _start(sender: Any, **_: Any) -> None:
    """Start at once on what waited while no worker ran."""
    for queue in sender.app.amqp.queues.consume_from:
        _pulse.start(process_context(), role=queue, name=f"{queue}/{sender.hostname}")
        if queue in NUDGES:
            NUDGES[queue]()


_stop_signals = count()


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    """Chunks are finished or given back; a running decoder gets a moment to finish."""
    # The kernel repeats SIGTERM for each thread of a killed supervisor. A signal handler that
    # interrupts itself in Event.set() would wait for the lock that it holds.
    if next(_stop_signals):
        return
    process_context().stopping.set()
    if _decoder_pool.cache_info().currsize:
        timer = threading.Timer(DECODER_GRACE_S, _decoder_pool().close)
        timer.daemon = True
        timer.start()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_: Any) -> None:
    if _decoder_pool.cache_info().currsize:
        _decoder_pool().close()
