"""Which contents a name means."""

from models.learning.labels import (
    find_by_file,
    find_by_image_id,
    find_by_sha256,
    find_by_sop_uid,
)
from models.tables.learning import ImportedDataset, ImportedImage
from pipeline.types import Split
from tests.support.data.rows import a_hash, a_job, a_user, an_image
from tests.support.servers.databases import Database


def test_names_of_every_kind(database: Database) -> None:
    with database.sessions.begin() as session:
        job = a_job(session)
        one = an_image(session, job, file="up/ward 3/one.png")
        whole = an_image(session, job, file="one.png")
        an_image(session, a_job(session), file="zip/up/ward 3/one.png", content="another")
        refused = an_image(session, job, file="huge.dcm")
        refused.sha256 = ""
        one.sop_instance_uid = "2.25.1"
        user = a_user(session).id
        dataset = ImportedDataset(name="set", has_own_splits=False, user_id=user, report={})
        session.add(dataset)
        session.flush()
        imported = {"dataset_id": dataset.id, "patient_hash": "p", "split": Split.TEST}
        session.add(ImportedImage(sha256=a_hash("set"), file="test/NORMAL/two.jpeg", **imported))
    with database.sessions() as session:
        files = ["one.png", "ward 3/one.png", "up/ward 3/one.png", "NORMAL/two.jpeg", "e.png"]
        assert find_by_file(session, files) == {
            "one.png": {whole.sha256},  # a whole path, though others end so
            "ward 3/one.png": {one.sha256, a_hash("another")},
            "up/ward 3/one.png": {one.sha256},
            "NORMAL/two.jpeg": {a_hash("set")},
        }
        assert find_by_file(session, ["huge.dcm", "HUGE"]) == {}
        assert find_by_file(session, []) == {}
        wanted = {one.sha256, a_hash("set"), a_hash("unknown")}
        assert find_by_sha256(session, wanted) == {
            one.sha256: {one.sha256},
            a_hash("set"): {a_hash("set")},
        }
        assert find_by_sop_uid(session, {"2.25.1", "2.25.2"}) == {"2.25.1": {one.sha256}}
        ids = {one.id, refused.id, 999}
        assert find_by_image_id(session, ids) == {one.id: one.sha256}
