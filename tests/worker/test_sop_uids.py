"""SOP Instance UIDs: kept at ingest, and filled in where images came before."""

from pathlib import Path

import pydicom
from pydicom.uid import generate_uid
from sqlalchemy import update

from models.tables.intake import Image
from pipeline.decode.pool import DecoderPool
from pipeline.pseudonym import pseudonymous_uid
from tests.support.data.rows import a_job, all_images
from tests.support.data.uploads import a_dicom, a_png, upload
from tests.worker.conftest import KEY
from worker.context import Doors
from worker.ingest import ingest_chunk
from worker.tidy import fill_sop_instance_uids


def sop_uids(doors: Doors) -> list[str | None]:
    with doors.sessions() as session:
        return [image.sop_instance_uid for image in all_images(session)]


def ingest(doors: Doors, pool: DecoderPool, files: dict[str, bytes]) -> None:
    with doors.sessions.begin() as session:
        job = a_job(session)
    upload(doors, job, files)
    while ingest_chunk(doors, pool):
        pass


def test_the_pseudonymous_uid_of_the_stored_file_is_kept(
    doors: Doors, pool: DecoderPool, tmp_path: Path
) -> None:
    uid = generate_uid()
    film = a_dicom(tmp_path, SOPInstanceUID=uid)
    ingest(doors, pool, {"a/film.dcm": film, "a/picture.png": a_png()})
    ingest(doors, pool, {"b/the same film.dcm": film})
    expected = pseudonymous_uid(KEY, uid)
    assert sop_uids(doors) == [expected, None, expected]
    with doors.sessions() as session:
        stored = all_images(session)[0].stored_sha256 or ""
    assert pydicom.dcmread(doors.store.path(stored)).SOPInstanceUID == expected


def test_images_that_came_before_get_theirs_some_at_a_time(
    doors: Doors, pool: DecoderPool, tmp_path: Path
) -> None:
    files = {f"{number}.dcm": a_dicom(tmp_path) for number in range(3)}
    ingest(doors, pool, files | {"picture.png": a_png()})
    before = sop_uids(doors)
    with doors.sessions.begin() as session:
        session.execute(update(Image).values(sop_instance_uid=None))
        doors.store.delete(all_images(session)[1].stored_sha256 or "", area="stored")
    assert fill_sop_instance_uids(doors, limit=2) == 2
    assert sop_uids(doors) == [before[0], "", None, None]
    assert fill_sop_instance_uids(doors, limit=2) == 1
    assert fill_sop_instance_uids(doors, limit=2) == 0, "the lost one is not looked for again"
    assert sop_uids(doors) == [before[0], "", before[2], None]
