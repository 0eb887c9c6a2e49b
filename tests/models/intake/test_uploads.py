"""Declared uploads: none is counted twice, none is lost from the count."""

import pytest
from sqlalchemy.orm import Session

from models.intake import uploads
from models.intake.uploads import (
    Declared,
    NoUploadError,
    TooManyUploadsError,
    advance,
    arrive,
    declare,
    give_up,
    list_uploads,
    require_uploads,
    uploads_of_jobs,
)
from models.tables.intake import Upload
from tests.support.data.rows import a_hash, a_job
from tests.support.servers.databases import Database, both_databases

FILE = Declared("a/b.png", 10, a_hash("b"))


@both_databases
def test_declare_knows_a_file_by_name_size_and_hash(session: Session) -> None:
    job, other = a_job(session), a_job(session)
    files = [FILE, Declared(FILE.file, 10), Declared(FILE.file, 11, FILE.sha256)]
    ids = [upload.id for upload in declare(session, job_id=job.id, files=files)]
    assert len(set(ids)) == 3
    again = declare(session, job_id=job.id, files=[*reversed(files), FILE])
    assert [upload.id for upload in again] == [*reversed(ids), ids[0]]
    (elsewhere,) = declare(session, job_id=other.id, files=[FILE])
    assert elsewhere.id not in ids
    found = require_uploads(session, job_id=job.id, upload_ids=[ids[2], ids[0], ids[2]])
    assert [upload.id for upload in found] == [ids[2], ids[0], ids[2]]
    with pytest.raises(NoUploadError):
        require_uploads(session, job_id=job.id, upload_ids=[ids[0], elsewhere.id])


def test_advance_needs_the_current_offset(session: Session) -> None:
    (upload,) = declare(session, job_id=a_job(session).id, files=[FILE])
    assert advance(session, upload.id, before=0, received=4)
    assert not advance(session, upload.id, before=0, received=6)
    assert advance(session, upload.id, before=4, received=10)
    session.refresh(upload)
    assert upload.received == 10


def test_arrive_matches_declarations_with_and_without_hash(session: Session) -> None:
    job = a_job(session)
    other_bytes = Declared(FILE.file, 10, a_hash("other"))
    files = [FILE, Declared(FILE.file, 10), other_bytes, Declared(FILE.file, 9)]
    declare(session, job_id=job.id, files=files)
    arrive(session, job_id=job.id, files=[FILE, Declared("undeclared.png", 3, a_hash("u"))])
    assert uploads_of_jobs(session, [job.id])[job.id].missing == 2
    missing = list_uploads(session, job.id, state="missing", page=1, page_size=10)
    assert {(one.size, one.sha256) for one in missing.items} == {(10, a_hash("other")), (9, "")}


def test_given_up_uploads_are_expected_again_once_declared(session: Session) -> None:
    job = a_job(session)
    (upload,) = declare(session, job_id=job.id, files=[FILE])
    assert give_up(session, job.id) == 1
    session.refresh(upload)
    assert not advance(session, upload.id, before=0, received=4)
    assert uploads_of_jobs(session, [job.id])[job.id].missing == 0
    assert declare(session, job_id=job.id, files=[FILE])[0].given_up_at is None
    assert uploads_of_jobs(session, [job.id])[job.id].missing == 1


def test_declare_refuses_more_than_the_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_A_JOB", 3)
    with database.sessions.begin() as session:
        job_id = a_job(session).id
        files = [Declared(f"{number}.png", 1) for number in range(4)]
        declare(session, job_id=job_id, files=files[:3])
        declare(session, job_id=job_id, files=files[:3])
    with pytest.raises(TooManyUploadsError, match="at most"), database.sessions.begin() as session:
        declare(session, job_id=job_id, files=files)
    with database.sessions() as session:
        assert session.query(Upload).count() == 3
