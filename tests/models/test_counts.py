"""Kept counts are right after each kind of change, whatever statement makes it."""

from functools import partial

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from models.audit.lists import audit_actions
from models.audit.log import record
from models.base import now
from models.config.settings import Settings
from models.counts import ImageCount, count_images, images_of_jobs, merge_counts
from models.intake.claims import claim_images
from models.intake.images import NewImage, add_images, cancel_waiting, record_failed
from models.intake.uploads import Declared, arrive, declare, give_up, uploads_of_jobs
from models.learning.labels import NewLabel, add_labels
from models.tables.intake import Image, State
from models.tables.learning import LabelValue, Source, ValidLabel
from models.tables.people import Role
from models.tables.worklist import KeptCount
from pipeline.errors import Reason, RefusalCode
from tests.support.data.counts import check_counts
from tests.support.data.rows import a_job, a_user, some_images
from tests.support.data.sites import Site
from tests.support.servers.databases import both_databases

NOT_AN_IMAGE = Reason(RefusalCode.NOT_AN_IMAGE, "no image")


@both_databases
def test_images_are_counted_through_all_their_states(session: Session) -> None:
    job = a_job(session)
    images = some_images(session, 7, job=job)
    add_images(session, job_id=job.id, new=[NewImage("x.txt", "x", 1, refused=NOT_AN_IMAGE)])
    check_counts(session)
    claim = claim_images(session, State.RECEIVED, Settings(chunk_size=2))
    check_counts(session)
    record_failed(session, claim, {claim.images[0].id: NOT_AN_IMAGE})
    assert count_images(session)[ImageCount(State.FAILED, RefusalCode.NOT_AN_IMAGE)] == 1
    check_counts(session)
    cancel_waiting(session, job.id, limit=3)
    check_counts(session)
    images[0].state, images[0].reason_code = State.READY, None
    check_counts(session)
    states = images_of_jobs(session, [job.id, "none"])
    assert states[job.id].total() == 8
    assert states["none"].total() == 0
    merge_counts(session)
    check_counts(session)
    session.execute(delete(Image))
    check_counts(session)
    merge_counts(session)
    assert session.scalar(select(func.count()).where(KeptCount.topic == "images")) == 0


@both_databases
def test_statements_of_many_rows_are_counted(session: Session) -> None:
    first, second = a_job(session), a_job(session)
    usual = {"size": 1, "state": State.READY, "attempts": 0, "created_at": now()}
    rows = [
        {"job_id": job.id, "file": f"{number}", "sha256": f"{number}", **usual}
        for job in (first, second)
        for number in range(30)
    ]
    session.execute(insert(Image), rows)
    check_counts(session)
    moved = update(Image).where(Image.file < "2").values(job_id=second.id, file=Image.file + "x")
    session.execute(moved.where(Image.job_id == first.id))
    check_counts(session)
    session.execute(update(Image).values(state=State.PREDICTED))
    check_counts(session)
    session.execute(update(Image).values(attempts=1))
    check_counts(session)


@both_databases
def test_declared_files_are_counted(session: Session) -> None:
    job = a_job(session)
    files = [Declared(f"{number}.png", number) for number in range(5)]
    declare(session, job_id=job.id, files=files)
    check_counts(session)
    arrive(session, job_id=job.id, files=files[:2])
    check_counts(session)
    give_up(session, job.id)
    counts = uploads_of_jobs(session, [job.id])[job.id]
    assert (counts.declared, counts.missing, counts.given_up) == (5, 0, 3)
    check_counts(session)
    declare(session, job_id=job.id, files=files)
    assert uploads_of_jobs(session, [job.id])[job.id].missing == 3
    check_counts(session)


@both_databases
def test_audit_rows_are_counted_by_action(session: Session) -> None:
    for action in ("job.created", "job.closed", "job.created"):
        record(session, user_id=None, action=action)
    check_counts(session)
    assert audit_actions(session) == ["job.closed", "job.created"]


@both_databases
def test_a_purge_is_counted(site: Site) -> None:
    job, other = site.job(1, 2), site.job(2, 3)
    with site.database.sessions.begin() as session:
        hashes = [site.sha256(number) for number in (1, 2, 3)]
        rita = a_user(session).id
        said = partial(NewLabel, value=LabelValue.NORMAL, reader="rita", role=Role.READER)
        labels = [said(one, user_id=rita, source=Source.PORTAL) for one in hashes]
        add_labels(session, labels)
    site.purge(job)
    with site.database.sessions() as session:
        check_counts(session)
        assert images_of_jobs(session, [job])[job].total() == 0
        assert images_of_jobs(session, [other])[other].total() == 2
        assert set(session.scalars(select(ValidLabel.sha256))) == set(hashes[1:])
