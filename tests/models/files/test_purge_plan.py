"""A purge takes what nobody needs any more, all of it, and nothing else."""

import io
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from models.audit.log import list_audit
from models.base import Base, now
from models.files.orphans import find_orphans
from models.files.partial import PartialFiles
from models.files.purge import (
    StillAtWorkError,
)
from models.files.purge_plan import (
    WhichJobs,
    count_purge,
    iter_gone_inputs,
    iter_gone_stored,
    list_plans,
    next_purgeable,
)
from models.tables.intake import Image, Job, Prediction, State, Study, Upload
from models.tables.learning import Night
from tests.support.data.sites import Site


def count(site: Site) -> dict[str, int]:
    with site.database.sessions() as session:
        tables = {table.name: table for table in Base.metadata.sorted_tables}
        rows = {name: select(func.count()).select_from(table) for name, table in tables.items()}
        return {name: session.scalar(query) or 0 for name, query in rows.items()}


CONTENTS = st.sets(st.integers(0, 5), max_size=5)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(purged=CONTENTS, other=CONTENTS, labelled=CONTENTS, frozen=CONTENTS, imported=CONTENTS)
def test_whatever_jobs_share_only_what_nobody_needs_goes(
    site: Site,
    purged: set[int],
    other: set[int],
    labelled: set[int],
    frozen: set[int],
    imported: set[int],
) -> None:
    site.empty()
    job_id, _ = site.job(*purged), site.job(*other)
    site.imported(*imported)
    known = purged | other | imported
    site.label(*labelled & known)
    site.snapshot(*frozen & known)
    kept = {site.sha256(number) for number in frozen & labelled & known}
    before, rows, files = site.images(), count(site), site.files()
    with site.database.sessions() as session:
        promised = count_purge(session, WhichJobs(job_id))
        inputs = list(iter_gone_inputs(session, WhichJobs(job_id)))
        stored = list(iter_gone_stored(session, WhichJobs(job_id)))
        (plan,) = list_plans(session, WhichJobs(job_id))

    while site.is_left(WhichJobs(job_id)):
        site.purge(job_id)

    assert find_orphans(site.database.sessions, site.store) == []
    left = {image for image in before if image[0] != job_id or image[1] in kept}
    assert site.images() == left
    after = count(site)
    gone = {table: rows[table] - after[table] for table in rows if table != "audit"}
    expected = {
        "image": promised.images,
        "prediction": promised.predictions,
        "label": promised.labels,
        "fingerprint": promised.fingerprints,
        "upload": promised.uploads,
        "study": gone["study"],
        "job": int(plan.stays == 0),
    }
    assert gone == {table: expected.get(table, 0) for table in gone}
    assert plan.goes == promised.images == len(before) - len(left)
    assert len(files - site.files()) == len(inputs) + len(stored)


def plans(site: Site, which: WhichJobs) -> dict[str, str]:
    with site.database.sessions() as session:
        return {plan.id: plan.why for plan in list_plans(session, which)}


def test_what_stays_and_why(site: Site) -> None:
    job_ids = {
        site.job(1, is_closed=False): "it is open: close or cancel it first",
        site.job(2, state=State.RECEIVED): "1 images wait to be read",
        site.job(3): "",
        (expecting := site.job(4)): "declared files are still expected",
        site.job(5, 6): "1 in a snapshot, 1 with a label, and a night is at work",
    }
    site.label(5, 6)
    site.snapshot(5)
    with site.database.sessions.begin() as session:
        session.add(Night())
        session.add(Upload(job_id=expecting, file="v", size=1, received=0))
    tomorrow = WhichJobs(ended_before=now() + timedelta(days=1))
    assert plans(site, tomorrow) == job_ids
    assert plans(site, WhichJobs(ended_before=now() - timedelta(days=1))) == {}
    with site.database.sessions() as session:
        assert job_ids[next_purgeable(session, tomorrow) or ""] == ""
    for job_id, why in job_ids.items():
        if why and "snapshot" not in why:
            with pytest.raises(StillAtWorkError):
                site.purge(job_id)


def test_what_was_read_lately_is_not_old(site: Site) -> None:
    job_id, a_year_ago = site.job(1), now() - timedelta(days=365)
    with site.database.sessions.begin() as session:
        session.execute(update(Job).values(closed_at=a_year_ago))
        session.execute(update(Image).values(finished_at=now()))
    which = WhichJobs(ended_before=now() - timedelta(days=90))
    assert plans(site, which) == {}
    with site.database.sessions.begin() as session:
        session.execute(update(Image).values(finished_at=a_year_ago))
    assert plans(site, which) == {job_id: ""}


def test_everything_of_a_cancelled_job_goes_and_each_step_is_audited(site: Site) -> None:
    job_id = site.job(1, 2, state=State.CANCELLED)
    with site.database.sessions() as session:
        upload_id = session.scalars(select(Upload.id)).one()
    with PartialFiles(site.store).hold(upload_id) as partial:
        partial.append(io.BytesIO(b"half"), at=0, max_bytes=9)
    site.purge(job_id)
    assert site.files() == set()
    assert find_orphans(site.database.sessions, site.store) == []
    with site.database.sessions() as session:
        assert [(one.action, one.target) for one in list_audit(session)] == [
            ("job.purged", f"{job_id}: 2 images, the last")
        ]


def test_studies_go_with_their_last_image(site: Site) -> None:
    first, second = site.job(1), site.job(3)
    with site.database.sessions.begin() as session:
        shared = session.scalars(select(Image.study_id).where(Image.job_id == first)).one()
        session.execute(update(Image).values(study_id=shared))
        session.execute(delete(Study).where(Study.id != shared))
    site.purge(first)
    assert count(site)["study"] == 1
    site.purge(second)
    assert count(site)["study"] == 0


def test_ids_are_not_given_out_again(site: Site) -> None:
    """An old address would show someone else."""

    def newest(table: type[Image | Study | Prediction]) -> int:
        with site.database.sessions() as session:
            return session.scalar(select(func.max(table.id))) or 0

    job_id = site.job(1)
    before = {table: newest(table) for table in (Image, Study, Prediction)}
    site.purge(job_id)
    site.job(2)
    assert {table: newest(table) for table in before} == dict.fromkeys(before, 2)
