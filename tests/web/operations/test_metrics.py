"""Metrics for Prometheus, without user-supplied text."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, update

from models.audit.log import record
from models.audit.verify import check_audit
from models.base import now
from models.files.damage import Damage, note_damage
from models.learning.nights import request_night
from models.operations.heartbeat import Vitals, record_heartbeat
from models.operations.integrity import SHARES
from models.operations.verification import Tally, verify_next_share
from models.tables.intake import Image, State
from models.tables.learning import Outcome
from models.tables.people import Role
from models.tables.workers import Problem
from pipeline.errors import RefusalCode
from tests.support.data.rows import a_job, a_version, an_image, some_images
from tests.support.servers.databases import both_databases
from tests.support.web.portal import Portal
from web.operations.metrics import ServiceFigures
from web.readiness import Readiness

Samples = dict[tuple[str, tuple[str, ...]], float]


def _scrape(portal: Portal) -> Samples:
    answer = portal.program(Role.VIEWER).get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, *labels: str) -> float:
    return samples[f"overread_{name}", labels]


@both_databases
def test_metrics_count_images_by_state_and_waiting_time(portal: Portal) -> None:
    with portal.database.sessions.begin() as session:
        some_images(session, 3, state=State.RECEIVED)
        some_images(session, 2, state=State.PREDICTED)
        first = session.scalars(select(Image.id).order_by(Image.id)).first()
        an_hour_ago = now() - timedelta(hours=1)
        session.execute(update(Image).where(Image.id == first).values(created_at=an_hour_ago))
    samples = _scrape(portal)
    assert _value(samples, "images", "received") == 3
    assert _value(samples, "images", "ready") == 0
    assert _value(samples, "images_finished_total", "predicted") == 2
    assert ("overread_images_finished_total", ("received",)) not in samples
    assert _value(samples, "oldest_waiting_image_age_seconds", "received") == pytest.approx(
        3600, abs=60
    )
    assert _value(samples, "oldest_waiting_image_age_seconds", "ready") == 0


def test_metrics_tell_damaged_files_and_the_last_verification(portal: Portal) -> None:
    before = _scrape(portal)
    assert _value(before, "damaged_files", "stored") == 0
    assert ("overread_verification_timestamp_seconds", ()) not in before
    context = portal.context
    with context.sessions.begin() as session:
        note_damage(session, [Damage("stored", "ab" * 32), Damage("networks", "night-1")])
    for _ in range(SHARES):
        verify_next_share(context.sessions, context.store, context.settings, tally=Tally())
    samples = _scrape(portal)
    assert _value(samples, "damaged_files", "stored") == 1
    assert _value(samples, "damaged_files", "networks") == 1
    for name in ("verification_timestamp_seconds", "verification_round_timestamp_seconds"):
        assert _value(samples, name) == pytest.approx(now().timestamp(), abs=60)
    assert _value(samples, "verification_files") == 0, "of the new round"


def test_metrics_report_throughput_and_latency(portal: Portal) -> None:
    took_s = (1, 2, 3, 4, 100)
    with portal.database.sessions.begin() as session:
        for image, seconds in zip(some_images(session, 5), took_s, strict=True):
            image.state, image.finished_at = State.PREDICTED, now()
            image.created_at = image.finished_at - timedelta(seconds=seconds)
        (old,) = some_images(session, 1, state=State.PREDICTED)
        old.finished_at = now() - timedelta(hours=2)
    samples = _scrape(portal)
    assert _value(samples, "images_finished_per_second") == pytest.approx(5 / 60)
    assert _value(samples, "image_latency_seconds", "0.5") == pytest.approx(3)
    assert _value(samples, "image_latency_seconds", "0.99") == pytest.approx(100)


def test_metrics_count_refusals_and_failures_by_code(portal: Portal) -> None:
    codes = (RefusalCode.DAMAGED, RefusalCode.DAMAGED, RefusalCode.TOO_LARGE)
    with portal.database.sessions.begin() as session:
        job = a_job(session)
        for code in codes:
            image = an_image(session, job, state=State.REJECTED)
            image.reason, image.reason_code = "Mustermann wrote something", code
        an_image(session, job, state=State.FAILED).reason_code = RefusalCode.UNEXPECTED
    samples = _scrape(portal)
    assert _value(samples, "images_refused_total", "damaged") == 2
    assert _value(samples, "images_refused_total", "too-large") == 1
    assert _value(samples, "images_refused_total", "other") == 0
    assert _value(samples, "images_failed_total", "unexpected") == 1
    labels = {labels[0] for name, labels in samples if name.endswith("_refused_total")}
    assert labels == set(RefusalCode)
    assert "Mustermann" not in portal.program(Role.VIEWER).get("/metrics").text


@both_databases
def test_metrics_report_version_nights_jobs_disk_and_audit(portal: Portal) -> None:
    data_dir = portal.context.settings.data_dir
    with portal.database.sessions.begin() as session:
        a_version(session, name="v7")
        a_job(session)
        a_job(session).closed_at = now()
        for _ in range(2):
            night = request_night(session, user_id=None)
            night.outcome, night.is_open = Outcome.REFUSED, None
            session.flush()
        for _ in range(3):
            record(session, user_id=None, action="login.bad")
    check_audit(portal.database.sessions, data_dir, key=bytes(32))
    with portal.database.sessions.begin() as session:
        record_heartbeat(session, "predict", vitals=Vitals(failures=7, problem=Problem.TASKS))
    samples = _scrape(portal)
    assert _value(samples, "worker_failures", "predict") == 7
    assert _value(samples, "part_up", "database_writes") == 1
    assert _value(samples, "part_up", "predict_worker") == 0
    assert _value(samples, "live_model_version_info", "v7") == 1
    assert _value(samples, "nights_total", "refused") == 2
    assert _value(samples, "nights_total", "promoted") == 0
    assert _value(samples, "jobs_open") == 1
    assert _value(samples, "disk_free_bytes") > 0
    assert _value(samples, "audit_rows") == 3
    assert _value(samples, "audit_intact") == 1
    assert _value(samples, "worker_last_seen_timestamp_seconds", "predict") == pytest.approx(
        now().timestamp(), abs=60
    )


def test_metrics_count_requests_by_route_not_by_path(portal: Portal) -> None:
    client = portal.program(Role.VIEWER)
    for job_id in ("a" * 32, "b" * 32):
        assert client.get(f"/api/v1/jobs/{job_id}").status_code == 404
    client.get("/api/v1/jobs?page=2")
    client.get("/Mustermann")
    samples = _scrape(portal)
    name = "request_duration_seconds_count"
    assert _value(samples, name, "GET", "/api/v1/jobs/<job_id>", "404") == 2
    assert _value(samples, name, "GET", "/api/v1/jobs", "200") == 1
    assert _value(samples, name, "GET", "-", "404") == 1


def test_metrics_report_a_database_that_is_down(portal: Portal) -> None:
    """No token can be checked without a database, so the figures are read directly."""
    with portal.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE image RENAME TO gone")
    found = ServiceFigures(portal.context, Readiness(portal.context))
    values = {family.name: family for family in found.collect()}
    assert values["overread_database_up"].samples[0].value == 0
    assert "overread_disk_free_bytes" in values
