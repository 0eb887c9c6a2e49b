"""The hourly steps: SOP Instance UIDs of older images, and the check of the audit."""

import logging
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import update

from models.audit.log import record
from models.audit.verify import newest_check, read_anchors
from models.context import AppContext
from models.operations.heartbeat import is_alive
from models.tables.intake import Audit, Image
from pipeline.pseudonym import pseudonymous_uid
from tests.support.data.rows import all_images, images_in
from tests.support.data.uploads import a_dicom, a_png
from tests.worker.conftest import KEY, Ingest
from worker.tidy import fill_sop_instance_uids, watch_audit


def sop_uids(context: AppContext) -> list[str | None]:
    with context.sessions() as session:
        return [image.sop_instance_uid for image in all_images(session)]


def test_fill_sop_instance_uids_keeps_the_pseudonymous_uid(
    context: AppContext, ingest: Ingest, tmp_path: Path
) -> None:
    uid = generate_uid()
    dicom = a_dicom(tmp_path, SOPInstanceUID=uid)
    ingest({"a/1.dcm": dicom, "a/2.png": a_png()})
    ingest({"b/again.dcm": dicom})
    expected = pseudonymous_uid(KEY, uid)
    assert sop_uids(context) == [expected, None, expected]
    stored = images_in(context)[0].stored_sha256 or ""
    assert pydicom.dcmread(context.store.path(stored)).SOPInstanceUID == expected


def test_fill_sop_instance_uids_works_in_batches(
    context: AppContext, ingest: Ingest, tmp_path: Path
) -> None:
    files = {f"{number}.dcm": a_dicom(tmp_path) for number in range(3)}
    ingest(files | {"2.png": a_png()})
    before = sop_uids(context)
    with context.sessions.begin() as session:
        session.execute(update(Image).values(sop_instance_uid=None))
        context.store.delete(all_images(session)[1].stored_sha256 or "", area="stored")
    assert fill_sop_instance_uids(context, limit=2) == 2
    assert sop_uids(context) == [before[0], "", None, None]
    assert fill_sop_instance_uids(context, limit=2) == 1
    assert fill_sop_instance_uids(context, limit=2) == 0, "the lost one is not looked for again"
    assert sop_uids(context) == [before[0], "", before[2], None]


def test_watch_audit_anchors_an_intact_chain_and_reports_a_broken_one(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    data_dir = context.settings.data_dir
    with context.sessions.begin() as session:
        for number in range(3):
            record(session, user_id=None, action="login.bad", target=str(number))
    watch_audit(context)
    assert list(read_anchors(data_dir)) == [3]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    with context.sessions.begin() as session:
        session.execute(update(Audit).where(Audit.id == 2).values(action="login"))
    watch_audit(context)
    assert "audit chain verification failed at row 2" in caplog.text
    assert list(read_anchors(data_dir)) == [3]
    check = newest_check(data_dir)
    assert check is not None
    assert check.broken == 2


def test_worker_without_heartbeat_is_not_alive(context: AppContext) -> None:
    assert not is_alive(context.settings, "ingest")
