"""Summaries of studies and kept counts are what their images and predictions say."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.context import AppContext
from models.counts import kept_counts, merge_counts
from models.intake.claims import claim_images
from models.learning.promotion import set_production
from models.reading.predictions import add_predictions, record_predictions
from models.reading.studies import NewStudy, get_or_create_studies
from models.tables.intake import Image, ModelVersion, State, Study
from models.tables.worklist import EVERYTHING, KeptCount, StudySummary
from models.worklist.summaries import find_stale, refresh_some, repair_some, summarise
from pipeline.types import Prediction
from tests.support.data.counts import check_counts
from tests.support.data.rows import a_hash, a_job, a_prediction, a_version, an_image, some_images
from tests.support.data.sites import Site
from tests.support.servers.databases import Database, both_databases
from worker.sweep import sweep

NORMAL = a_prediction(probability=0.1, finding="normal")
SENSITIVE = a_prediction(probability=0.3, threshold=0.2, operating_point="sensitive")


def a_study(session: Session, name: str, images: list[Image]) -> int:
    study_id = get_or_create_studies(session, [NewStudy(a_hash(name), None, name)])[a_hash(name)]
    for image in images:
        image.study_id = study_id
    session.flush()
    summarise(session, [study_id])
    return study_id


def summary(session: Session, study_id: int, scope: str = EVERYTHING) -> tuple[Any, ...]:
    columns = (StudySummary.finding, StudySummary.score, StudySummary.images)
    row = select(*columns, StudySummary.predicted)
    row = row.where(StudySummary.study_id == study_id, StudySummary.scope == scope)
    return tuple(session.execute(row).one())


def read(session: Session, version: ModelVersion, answers: dict[str, Prediction]) -> None:
    add_predictions(session, answers, model_version_id=version.id, engine="a test")


def check_all(session: Session) -> None:
    assert find_stale(session, list(session.scalars(select(Study.id)))) == set()
    check_counts(session)


@both_databases
def test_summary_is_of_all_images_and_of_each_jobs(session: Session) -> None:
    (mine,) = some_images(session, 1, state=State.READY)
    (other,) = some_images(session, 1, state=State.READY)
    study_id = a_study(session, "shared", [mine, other])
    assert summary(session, study_id) == ("none", -1, 2, 0)
    read(session, a_version(session), {mine.sha256: NORMAL, other.sha256: a_prediction()})
    assert summary(session, study_id) == ("pneumonia", 0.9, 2, 2)
    assert summary(session, study_id, mine.job_id) == ("normal", 0.1, 1, 1)
    check_all(session)


@both_databases
def test_images_of_equal_bytes_in_other_studies_are_summarised(session: Session) -> None:
    job, version = a_job(session), a_version(session)
    one, twin = (an_image(session, job, content="equal", state=State.READY) for _ in range(2))
    first, second = a_study(session, "one", [one]), a_study(session, "two", [twin])
    read(session, version, {one.sha256: NORMAL})
    assert summary(session, first) == summary(session, second) == ("normal", 0.1, 1, 1)
    check_all(session)


@both_databases
def test_refresh_follows_a_promotion_and_its_undoing(session: Session) -> None:
    old, new = a_version(session), a_version(session, name="v2", is_live=False)
    images = some_images(session, 5, state=State.PREDICTED)
    ids = [a_study(session, image.file, [image]) for image in images]
    read(session, old, {image.sha256: NORMAL for image in images})
    read(session, new, {image.sha256: a_prediction() for image in images})
    for version, finding in ((new, "pneumonia"), (old, "normal")):
        set_production(session, version, reason="for a test")
        assert refresh_some(session, operating_point="balanced", limit=2)
        assert len(find_stale(session, ids)) == 3
        assert refresh_some(session, operating_point="balanced", limit=2)
        assert not refresh_some(session, operating_point="balanced", limit=2)
        assert {summary(session, one)[0] for one in ids} == {finding}
        assert not refresh_some(session, operating_point="balanced", limit=2), "all are done"
        check_all(session)


def test_refresh_follows_the_operating_point(session: Session) -> None:
    (image,) = some_images(session, 1, state=State.PREDICTED)
    study_id, version = a_study(session, "one", [image]), a_version(session)
    read(session, version, {image.sha256: NORMAL})
    read(session, version, {image.sha256: SENSITIVE})
    for point, finding in (("balanced", "normal"), ("sensitive", "pneumonia")):
        refresh_some(session, operating_point=point, limit=9)  # type: ignore[arg-type]
        assert summary(session, study_id)[0] == finding
        check_all(session)


@both_databases
def test_repair_finds_missing_surplus_and_wrong_rows_in_steps(session: Session) -> None:
    images = some_images(session, 7, state=State.PREDICTED)
    ids = [a_study(session, image.file, [image]) for image in images]
    read(session, a_version(session), {image.sha256: NORMAL for image in images})
    missing, one_missing, surplus, without_images, wrong = ids[:3] + ids[4:6]
    of_job = StudySummary.scope != EVERYTHING
    session.execute(delete(StudySummary).where(StudySummary.study_id == missing))
    session.execute(delete(StudySummary).where(StudySummary.study_id == one_missing, of_job))
    of_surplus = select(StudySummary.__table__).where(StudySummary.study_id == surplus, of_job)
    row = dict(session.execute(of_surplus).mappings().one())
    session.execute(insert(StudySummary).values(row | {"scope": a_job(session).id}))
    images[4].study_id = ids[6]
    session.flush()
    summarise(session, [ids[6]])
    moved = update(StudySummary).where(StudySummary.study_id == wrong, of_job)
    session.execute(moved.values(finding="pneumonia"))
    assert find_stale(session, ids) == {missing, one_missing, surplus, without_images, wrong}
    steps = []
    after: int | None = 0
    while after is not None:
        after, repaired = repair_some(session, after=after, limit=2)
        steps.append((after, repaired))
    assert steps == [(ids[1], 2), (ids[3], 1), (ids[5], 2), (None, 0)]
    check_all(session)
    assert summary(session, surplus) == ("normal", 0.1, 1, 1)
    assert session.get(StudySummary, (without_images, EVERYTHING)) is None


def test_sweep_refreshes_summaries_and_merges_counts(context: AppContext) -> None:
    with context.sessions.begin() as session:
        old, new = a_version(session), a_version(session, name="v2", is_live=False)
        (image,) = some_images(session, 1, state=State.PREDICTED)
        study_id = a_study(session, "one", [image])
        read(session, old, {image.sha256: NORMAL})
        read(session, new, {image.sha256: a_prediction()})
        set_production(session, new, reason="for a test")
    sweep(context)
    with context.sessions() as session:
        assert summary(session, study_id)[0] == "pneumonia"
        check_all(session)


@both_databases
def test_purge_forgets_summaries_and_counts(site: Site) -> None:
    first, second = site.job(1, 2, 3), site.job(4)
    with site.database.sessions.begin() as session:
        shared, gone = a_study_of(session, first), a_study_of(session, second)
        for image in session.scalars(select(Image)):
            image.study_id = shared
        session.flush()
        summarise(session, [shared, gone])
        assert summary(session, shared)[2] == 4
        check_all(session)
    site.purge(first)
    with site.database.sessions.begin() as session:
        assert summary(session, shared)[2] == 1
        assert kept_counts(session, "studies", scopes=[first]) == {}
        check_all(session)
    site.purge(second)
    with site.database.sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(StudySummary)) == 0
        check_all(session)


def a_study_of(session: Session, job_id: str) -> int:
    found = select(Image.study_id).where(Image.job_id == job_id).limit(1)
    return session.scalars(found).one() or 0


@both_databases
def test_workers_that_record_images_of_one_study_at_once_count_each(database: Database) -> None:
    workers, rounds = 4, 12
    with database.sessions.begin() as session:
        version_id = a_version(session).id
        images = some_images(session, workers * rounds, state=State.READY)
        study_ids = [a_study(session, f"{n}", images[n::3]) for n in range(3)]

    def work(_: int) -> None:
        for _ in range(rounds):
            with database.sessions.begin() as session:
                claim = claim_images(session, State.READY, Settings(chunk_size=1))
            answer = replace(a_prediction(), probability=random.random())
            with database.sessions.begin() as session:
                found = {image.sha256: answer for image in claim.images}
                record_predictions(
                    session, claim, found, model_version_id=version_id, engine="a test"
                )

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    with database.sessions.begin() as session:
        assert [summary(session, one)[3] for one in study_ids] == [workers * rounds // 3] * 3
        check_all(session)
        merge_counts(session)
        check_all(session)
        many = select(KeptCount.scope).group_by(KeptCount.scope, KeptCount.value)
        assert session.execute(many.having(func.count() > 1)).all() == []
