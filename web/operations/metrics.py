"""/metrics for Prometheus: from the database and the data folder, and of this process's requests.

Counts of images are kept in the database. A purge removes some; Prometheus treats a counter
that falls as restarted.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, cast

from apiflask import APIBlueprint
from flask import Flask, Response, current_app, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.audit.verify import newest_check
from models.base import now
from models.config.settings import Settings
from models.context import AppContext
from models.counts import ImageCount, count_by_value, count_images
from models.files.damage import count_damage
from models.learning.promotion import production_version
from models.operations import figures
from models.operations.heartbeat import workers
from models.operations.verification import read_verification
from models.query import count_rows
from models.tables.intake import FINAL_STATES, Image, Job, State
from models.tables.learning import Outcome
from models.tables.people import Role
from pipeline.errors import RefusalCode
from web.auth.rules import needs
from web.context import KEY as CONTEXT
from web.http.request_log import route, seconds_taken
from web.readiness import KEY as READINESS
from web.readiness import PARTS, Readiness, States

log = logging.getLogger(__name__)

RATE_WINDOW_S = 60


class ServiceFigures(Collector):
    def __init__(self, context: AppContext, readiness: Readiness) -> None:
        self._context, self._readiness = context, readiness

    def collect(self) -> Iterator[Metric]:
        yield from _disk(self._context.settings)
        yield from _audit_check(self._context.settings)
        yield from _verification(self._context.settings)
        yield _parts(self._readiness.states())
        try:
            with self._context.sessions() as session:
                found = [
                    *(*_images(session), *_speed(session)),
                    *(*_workers(session), *_rest(session)),
                ]
        except SQLAlchemyError as error:
            log.error("no metrics from the database: %s", type(error).__name__)
            found = []
        yield from found
        yield _gauge("database_up", "1 if the database responds.", float(bool(found)))


def _images(session: Session) -> Iterator[Metric]:
    counts = count_images(session)
    images = dict.fromkeys(State, 0)
    for image, n in counts.items():
        images[image.state] += n
    ages = {
        state: max((now() - at).total_seconds(), 0.0) if at else 0.0
        for state, at in figures.oldest_waiting(session).items()
    }
    ended = {state: images[state] for state in FINAL_STATES}
    yield _gauges("images", "Images by state.", "state", images)
    yield _gauges(
        "oldest_waiting_image_age_seconds",
        "Age of the oldest waiting image in this state; 0 if there is none.",
        "state",
        ages,
    )
    yield _counters("images_finished", "Finished images, by state.", "state", ended)
    for state, what in ((State.REJECTED, "refused"), (State.FAILED, "failed")):
        by_code = {code: counts[ImageCount(state, code)] for code in RefusalCode}
        yield _counters(f"images_{what}", f"Images that were {what}, by reason.", "reason", by_code)


def _speed(session: Session) -> Iterator[Metric]:
    since = now() - timedelta(seconds=RATE_WINDOW_S)
    rate = count_rows(session, Image, Image.finished_at >= since) / RATE_WINDOW_S
    yield _gauge("images_finished_per_second", "Over the last minute.", rate)
    yield _gauges(
        "image_latency_seconds",
        "From upload to prediction, of the newest images within 15 minutes.",
        "quantile",
        {f"{quantile:g}": s for quantile, s in figures.latency_quantiles(session).items()},
    )


def _rest(session: Session) -> Iterator[Metric]:
    live = production_version(session)
    names = {live.name: 1.0} if live else {}
    yield _gauges("live_model_version_info", "The production version.", "version", names)
    ended = figures.nights_by_outcome(session)
    by_outcome = {outcome: ended.get(outcome, 0) for outcome in Outcome}
    yield _counters("nights", "Finished nights, by outcome.", "outcome", by_outcome)
    is_open = Job.closed_at.is_(None), Job.cancelled_at.is_(None)
    yield _gauge("jobs_open", "Jobs open for files.", count_rows(session, Job, *is_open))
    yield _gauge("audit_rows", "Audit rows.", count_by_value(session, "audit").total())
    found = count_damage(session)
    yield _gauges("damaged_files", "Stored files found damaged or lost.", "area", found)


def _disk(settings: Settings) -> Iterator[Metric]:
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError:
        return
    yield _gauge("disk_free_bytes", "Free space on the data folder's file system.", free)
    reserve = settings.disk_reserve_bytes
    yield _gauge("disk_reserve_bytes", "Uploads are refused below this free space.", reserve)


def _audit_check(settings: Settings) -> Iterator[Metric]:
    check = newest_check(settings.data_dir)
    if check is not None:
        at = check.time.timestamp()
        yield _gauge(
            "audit_intact",
            "1 if the latest verification of the audit chain passed.",
            check.is_intact,
        )
        yield _gauge("audit_checked_timestamp_seconds", "Time of the latest verification.", at)


def _verification(settings: Settings) -> Iterator[Metric]:
    verification = read_verification(settings.data_dir)
    if verification is None:
        return
    at, last = verification.current.verified_at.timestamp(), verification.last
    yield _gauge("verification_timestamp_seconds", "When stored files were last verified.", at)
    files = verification.current.files
    yield _gauge("verification_files", "Files verified in the current round.", files)
    if last is not None:
        ended = last.verified_at.timestamp()
        yield _gauge("verification_round_timestamp_seconds", "End of the last whole round.", ended)


def _parts(states: States) -> Metric:
    up = {part: float(states.is_up(part)) for part in PARTS}
    return _gauges("part_up", "1 if this part of the service can work, see /readyz.", "part", up)


def _workers(session: Session) -> Iterator[Metric]:
    """Of several workers of a role, the one seen last."""
    newest = {worker.role: worker for worker in reversed(workers(session))}
    times = {role: worker.seen_at.timestamp() for role, worker in newest.items()}
    yield _gauges("worker_last_seen_timestamp_seconds", "Last heartbeat.", "worker", times)
    failures = {role: worker.failures for role, worker in newest.items()}
    yield _gauges("worker_failures", "Failed tasks in a row.", "worker", failures)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"overread_{name}", words, value=float(value))


def _by_label(
    kind: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    words: str,
    label: str,
    values: Mapping[Any, float],
) -> Metric:
    family = kind(f"overread_{name}", words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


_gauges = partial(_by_label, GaugeMetricFamily)
_counters = partial(_by_label, CounterMetricFamily)  # `_total` is added to the name


bp = APIBlueprint("metrics", __name__, tag="Metrics")

KEY = "overread-metrics"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FORMATS: dict[int | str, Any] = {
    200: {
        "description": "The format that the request accepts, else plain text",
        "content": {
            kind: {"schema": {"type": "string"}}
            for kind in ("text/plain", "application/openmetrics-text")
        },
    }
}
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


@bp.get("/metrics")
@bp.doc(responses=FORMATS)
@needs(Role.VIEWER)
def show() -> Response:
    """Figures for Prometheus, which sends a viewer's token: `authorization: {credentials: ...}`."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = cast(CollectorRegistry, current_app.extensions[KEY])
    return Response(encode(registry), content_type=content_type)


def install_metrics(app: Flask) -> None:
    """Each app has its own registry; the library's default is shared by the process."""
    registry = CollectorRegistry()
    registry.register(ServiceFigures(app.extensions[CONTEXT], app.extensions[READINESS]))
    times = Histogram(
        "overread_request_duration_seconds",
        "Time until the response started, by route template.",
        ("method", "route", "status"),
        buckets=BOUNDS_S,
        registry=registry,
    )

    def observe(answer: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        times.labels(method, route(), str(answer.status_code)).observe(seconds_taken())
        return answer

    app.extensions[KEY] = registry
    app.after_request(observe)
