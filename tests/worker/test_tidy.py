"""The hourly steps: SOP Instance UIDs of older images, and the check of the audit."""

import logging
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import update

from models.audit.log import record
from models.audit.verify import newest_check, read_anchors
from models.context import AppContext
from models.files.presence import StoreAwayError, mark_store
from models.tables.intake import Audit, Image
from pipeline.pseudonym import pseudonymous_uid
from tests.support.data.rows import all_images
from tests.support.data.uploads import a_dicom, a_png
from tests.worker.conftest import KEY, Ingest
from worker.tidy import fill_sop_instance_uids, watch_audit


def sop_uids(context: AppContext) -> list[str | None]:
    with context.sessions() as session:
        return [image.sop_instance_uid for image in all_images(session)]


def test_fill_sop_instance_uids_reads_those_of_ingest_in_batches(
    context: AppContext, ingest: Ingest, tmp_path: Path
) -> None:
    uids = [generate_uid() for _ in range(3)]
    files = {f"{n}.dcm": a_dicom(tmp_path, SOPInstanceUID=uid) for n, uid in enumerate(uids)}
    ingest(files | {"2.png": a_png()})
    ingest({"again.dcm": files["0.dcm"]})
    first, second, third = (pseudonymous_uid(KEY, uid) for uid in uids)
    assert sop_uids(context) == [first, second, third, None, first]
    with context.sessions.begin() as session:
        session.execute(update(Image).values(sop_instance_uid=None))
        context.store.delete(all_images(session)[1].stored_sha256 or "", area="stored")
    assert fill_sop_instance_uids(context, limit=2) == 2
    assert sop_uids(context) == [first, "", None, None, None]
    assert fill_sop_instance_uids(context, limit=2) == 2
    assert fill_sop_instance_uids(context, limit=2) == 0, "the lost one is not looked for again"
    assert sop_uids(context) == [first, "", third, None, first]


def test_fill_sop_instance_uids_waits_for_the_store(
    context: AppContext, ingest: Ingest, tmp_path: Path
) -> None:
    ingest({"1.dcm": a_dicom(tmp_path)})
    (before,) = sop_uids(context)
    with context.sessions.begin() as session:
        session.execute(update(Image).values(sop_instance_uid=None))
    root = context.store.root
    mark_store(root)
    away = root.rename(root.with_name("elsewhere"))
    with pytest.raises(StoreAwayError):
        fill_sop_instance_uids(context)
    away.rename(root)
    assert fill_sop_instance_uids(context) == 1
    assert sop_uids(context) == [before]


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
