"""Migrations make exactly the tables that the program expects, and remove them again."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.base import Base
from models.counts import count_images
from models.learning.labels import rebuild_valid_labels
from models.operations.revision import current_revision, newest_revision
from models.operations.upgrade import alembic_config, migrate
from models.worklist.order import Listing, count_studies
from models.worklist.summaries import find_stale
from tests.support.data.counts import check_counts
from tests.support.data.first_release import (
    JOB,
    STATES,
    TIME,
    insert,
    install_first_release,
    prediction,
)
from tests.support.servers.databases import Database, PostgresDatabases, both_databases, downgrade


def test_migrations_make_and_remove_the_tables_of_the_program(empty_database: Database) -> None:
    migrate(empty_database.engine)
    downgrade(empty_database.engine)
    assert inspect(empty_database.engine).get_table_names() == ["alembic_version"]
    migrate(empty_database.engine)
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_revisions_are_those_that_alembic_knows(empty_database: Database) -> None:
    with empty_database.engine.connect() as connection:
        assert current_revision(connection) is None
    migrate(empty_database.engine, "0001")
    with empty_database.engine.connect() as connection:
        assert current_revision(connection) == "0001"
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert newest_revision() == head


TRIGGERS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": """SELECT pg_get_triggerdef(pg_trigger.oid), prosrc FROM pg_trigger
        JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal""",
}


@both_databases
def test_migrations_make_the_triggers_that_tests_have(
    database: Database, tmp_path: Path, postgres: PostgresDatabases
) -> None:
    kind = database.engine.dialect.name
    url = postgres.make() if kind == "postgresql" else f"sqlite:///{tmp_path}/other"
    migrated = create_engine(url)
    migrate(migrated)
    made = rows(migrated, TRIGGERS[kind])
    assert sorted(made) == sorted(rows(database.engine, TRIGGERS[kind]))  # type: ignore[type-var]
    assert made
    migrated.dispose()


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def engine(empty_database: Database) -> Engine:
    """With the tables and rows of the first release."""
    install_first_release(empty_database.settings, empty_database.engine)
    return empty_database.engine


def column_names(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


ANSWERS = "SELECT id, sha256 FROM prediction ORDER BY id"


def test_downgrade_to_0001_deletes_predictions_of_other_points(engine: Engine) -> None:
    """The old tables know one point: an answer of another would be shown as that one's."""
    migrate(engine)
    sha256 = str(rows(engine, ANSWERS)[0][1])
    insert(engine, {"prediction": [prediction(4, sha256, 1) | {"operating_point": "sensitive"}]})
    with engine.begin() as connection:
        connection.execute(text("UPDATE prediction SET operating_point = 'sensitive' WHERE id = 3"))
    downgrade(engine, "0001")
    assert [row[0] for row in rows(engine, ANSWERS)] == [1, 2]
    assert "operating_point" not in column_names(engine, "prediction")
    states = "SELECT id, state, attempts, finished_at IS NULL FROM image WHERE id IN (3, 4)"
    assert sorted(rows(engine, states)) == [(3, "predicted", 1, False), (4, "ready", 0, True)]
    migrate(engine)
    assert [row[0] for row in rows(engine, ANSWERS)] == [1, 2]


def test_downgrade_to_0002_forgets_labels_and_moves(engine: Engine) -> None:
    moves = "SELECT id, model_version_id, move FROM model_alias ORDER BY id"
    migrate(engine)
    alias = {"name": "production", "reason": "for a test", "created_at": TIME}
    insert(
        engine, {"model_alias": [{"id": 3, "model_version_id": 1, "move": "roll-back", **alias}]}
    )
    label = {"sha256": "aa", "value": "normal", "reader": "rita", "source": "csv", "user_id": 1}
    insert(engine, {"label": [{"id": 1, **label, "read_at": TIME, "created_at": TIME}]})
    downgrade(engine, "0002")
    older = "SELECT id, model_version_id FROM model_alias ORDER BY id"
    assert rows(engine, older) == [(1, 1), (2, 2), (3, 1)]
    assert not inspect(engine).has_table("label")
    assert "sop_instance_uid" not in column_names(engine, "image")
    migrate(engine)
    assert [move for *_, move in rows(engine, moves)] == ["promotion"] * 3


def test_downgrade_to_0005_keeps_jobs_and_users(engine: Engine) -> None:
    jobs = "SELECT id FROM job ORDER BY id"
    migrate(engine)
    further = {"name": "a job", "user_id": 1, "created_at": TIME}
    # Any number without a key, as all were before.
    keys = {"c": None, "d": None, "e": "a key"}
    insert(engine, {"job": [{"id": name, **further, "key": key} for name, key in keys.items()]})
    with pytest.raises(IntegrityError):
        insert(engine, {"job": [{"id": "f", **further, "key": "a key"}]})
    before = rows(engine, jobs)
    assert len(before) == 5
    downgrade(engine, "0005")
    assert rows(engine, jobs) == before
    assert "login" not in inspect(engine).get_table_names()
    migrate(engine)
    assert rows(engine, jobs) == before
    users = rows(engine, 'SELECT name, session_epoch FROM "user" ORDER BY id')
    assert users == [("admin", 0), ("olga", 0), ("vera", 0)]


OLD_REASONS = {
    ("rejected", "not a chest radiograph: Modality is CT, expected ..."): "not-frontal-chest",
    ("rejected", "the content is neither DICOM, PNG, JPEG nor TIFF"): "not-an-image",
    ("rejected", "the transfer syntax MPEG2 is not supported"): "unsupported",
    ("rejected", "the zip archive is damaged: its entries overlap"): "archive",
    ("rejected", "Too Small, but not in these letters"): "other",
    ("rejected", None): "other",
    ("failed", "this file stopped its worker 3 times"): "stopped-worker",
    ("failed", "decoding took longer than 20 s"): "decoder-timeout",
    ("received", None): None,
    ("ready", None): None,
    ("predicted", None): None,
    ("cancelled", "the job was cancelled before this file was read"): None,
}


def test_upgrade_from_0006_fills_reason_codes(engine: Engine) -> None:
    reasons = "SELECT id, state, reason FROM image ORDER BY id"
    migrate(engine, "0006")
    usual = {"job_id": JOB, "sha256": "aa", "size": 9, "attempts": 0, "created_at": TIME}
    images = [
        {"id": number, "file": f"{number}.png", "state": state, "reason": reason, **usual}
        for number, (state, reason) in enumerate(OLD_REASONS, start=7)
    ]
    insert(engine, {"image": images})
    before = rows(engine, reasons)
    migrate(engine)
    codes = rows(engine, "SELECT reason_code FROM image WHERE id > 6 ORDER BY id")
    assert [code for (code,) in codes] == list(OLD_REASONS.values())
    downgrade(engine, "0006")
    assert rows(engine, reasons) == before
    assert "reason_code" not in column_names(engine, "image")
    if engine.dialect.name == "sqlite":
        (made,) = rows(engine, "SELECT sql FROM sqlite_master WHERE name = 'image'")
        assert "AUTOINCREMENT" in str(made[0])
    migrate(engine)
    assert rows(engine, reasons) == before


def test_upgrade_from_0008_keeps_logins(engine: Engine) -> None:
    logins = "SELECT digest, user_id, expires_at FROM login"
    migrate(engine, "0008")
    login = {"user_id": 1, "epoch": 0, "digest": "d", "created_at": TIME, "expires_at": TIME}
    insert(engine, {"login": [{"id": 1, **login}]})
    before = rows(engine, logins)
    migrate(engine)
    assert rows(engine, logins) == before
    since = "SELECT confirmed_at = created_at, seen_at > created_at FROM login"
    assert rows(engine, since) == [(True, True)]
    downgrade(engine, "0008")
    assert rows(engine, logins) == before
    assert "recovery_code" not in inspect(engine).get_table_names()
    migrate(engine)
    assert rows(engine, logins) == before


def test_downgrade_to_0010_forgets_damaged_files_only(engine: Engine) -> None:
    migrate(engine)
    damage = {"id": 1, "area": "stored", "name": "ab" * 32, "found_at": TIME}
    insert(engine, {"damaged_file": [damage]})
    images = "SELECT id, sha256, stored_sha256 FROM image ORDER BY id"
    before = rows(engine, images)
    downgrade(engine, "0010")
    assert not inspect(engine).has_table("damaged_file")
    migrate(engine)
    assert rows(engine, "SELECT * FROM damaged_file") == []
    assert rows(engine, images) == before


# Of either release, see the migration; others leave the orientation unknown.
CORRECTIONS = {
    "the image appears rotated to the left; corrected before reading": 1,
    "the image appears upside down and inverted; corrected before reading": 6,
    "the film looked inverted; it was read with that corrected": 4,
    "the film looked turned to the right; it was read with that corrected": 3,
    "the image may be rotated or inverted; it was not corrected": None,
}


def test_upgrade_from_0012_reads_orientations_in_warnings(engine: Engine) -> None:
    migrate(engine, "0012")
    images = "SELECT id, sha256, state FROM image ORDER BY id"
    before = rows(engine, images)
    answers = [
        prediction(number, f"{number:064}", 1)
        | {"operating_point": "balanced", "warnings": ["another", warning]}
        for number, warning in enumerate(CORRECTIONS, start=4)
    ]
    insert(engine, {"prediction": answers})
    migrate(engine)
    found = rows(engine, "SELECT orientation FROM prediction ORDER BY id")
    assert [one for (one,) in found] == [None] * 3 + list(CORRECTIONS.values())
    unknown = rows(engine, "SELECT range_rule, pixel_aspect FROM image")
    assert set(unknown) == {(None, None)}
    downgrade(engine, "0012")
    names = column_names(engine, "image") | column_names(engine, "prediction")
    assert not {"range_rule", "pixel_aspect", "orientation"} & names
    if engine.dialect.name == "sqlite":
        made = rows(engine, "SELECT sql FROM sqlite_master WHERE name IN ('image', 'prediction')")
        assert all("AUTOINCREMENT" in str(sql) for (sql,) in made)
    migrate(engine)
    assert rows(engine, images) == before


def test_upgrade_from_0017_leaves_the_population_of_earlier_predictions_open(
    engine: Engine,
) -> None:
    migrate(engine, "0017")
    before = rows(engine, "SELECT id, sha256, probability FROM prediction ORDER BY id")
    migrate(engine)
    assert set(rows(engine, "SELECT population FROM prediction")) == {(None,)}
    downgrade(engine, "0017")
    assert "population" not in column_names(engine, "prediction")
    assert rows(engine, "SELECT id, sha256, probability FROM prediction ORDER BY id") == before


def test_upgrade_from_0011_adds_workers_and_keeps_images(engine: Engine) -> None:
    images = "SELECT id, state FROM image ORDER BY id"
    migrate(engine, "0011")
    before = rows(engine, images)
    migrate(engine)
    worker = {"name": "predict@host", "role": "predict", "seen_at": TIME, "failures": 0}
    insert(engine, {"worker": [worker | {"problem": "cannot-open-version"}]})
    assert rows(engine, images) == before
    downgrade(engine, "0011")
    assert "worker" not in inspect(engine).get_table_names()
    assert rows(engine, images) == before


def test_downgrade_to_0013_forgets_unknown_terms_only(engine: Engine) -> None:
    migrate(engine)
    term = {"keyword": "BodyPartExamined", "term_hash": "aa", "patients": "[]", "images": 1}
    times = {"first_seen_at": TIME, "last_seen_at": TIME}
    insert(engine, {"unknown_term": [{"id": 1, **term, **times}]})
    before = rows(engine, ANSWERS)
    downgrade(engine, "0013")
    assert not inspect(engine).has_table("unknown_term")
    migrate(engine)
    assert rows(engine, "SELECT id FROM unknown_term") == []
    assert rows(engine, ANSWERS) == before


def test_upgrade_from_0014_summarises_studies(engine: Engine) -> None:
    """As the program does, and counts them; first with the live version's predictions."""
    migrate(engine, "0014")
    usual = {"created_at": TIME, "study_hash": "x", "patient_hash": None, "folder": None}
    names = {101: "ward 1", 102: None, 103: None}
    some = [
        usual | {"id": key, "study_hash": f"h{key}", "folder": name} for key, name in names.items()
    ]
    insert(engine, {"study": some})
    with engine.begin() as connection:
        for study_id, image_id in ((101, 3), (101, 4), (102, 1)):
            link = "UPDATE image SET study_id = :study WHERE id = :image"
            connection.execute(text(link), {"study": study_id, "image": image_id})
    migrate(engine)
    query = "SELECT study_id, scope, finding, label, images, predicted FROM study_summary"
    made = rows(engine, f"{query} ORDER BY study_id, scope")
    assert {row[0] for row in made} == {1, 101, 102}
    with Session(engine) as session:
        assert find_stale(session, [1, 101, 102, 103]) == set()
        assert count_studies(session, Listing()) == 3
    downgrade(engine, "0014")
    assert not inspect(engine).has_table("study_summary")
    assert len(rows(engine, "SELECT id FROM study WHERE id > 100")) == 3
    migrate(engine)
    assert rows(engine, f"{query} ORDER BY study_id, scope") == made


def test_upgrade_from_0015_counts_what_is_there(engine: Engine) -> None:
    migrate(engine, "0015")
    upload = {"job_id": JOB, "file": "a.png", "size": 1, "sha256": "", "received": 0}
    insert(engine, {"upload": [upload | {"id": 901, "created_at": TIME}]})
    migrate(engine)
    with Session(engine) as session:
        check_counts(session)
        assert count_images(session).total() == len(STATES)
    downgrade(engine, "0015")
    left = rows(engine, "SELECT DISTINCT topic FROM kept_count")
    assert left == [("studies",)]
    insert(engine, {"upload": [upload | {"id": 902, "file": "b.png", "created_at": TIME}]})
    migrate(engine)
    with Session(engine) as session:
        check_counts(session)


def test_upgrade_from_0016_makes_valid_labels(engine: Engine) -> None:
    """As the program does, and counts them."""
    migrate(engine, "0016")
    usual = {"source": "csv", "user_id": 1, "created_at": TIME, "read_at": TIME, "role": "reader"}
    said = [
        *(("aa", "normal", "rita", "reader"), ("aa", "pneumonia", "rolf", "reader")),
        *(("aa", "unusable", "a set", None), ("bb", "normal", "ada", "admin")),
        *(("bb", "pneumonia", "rolf", "viewer"), ("bb", "normal", "rolf", "viewer")),
        *(("cc", "normal", "olga", "operator"), ("cc", "pneumonia", "rita", "reader")),
        ("dd", "pneumonia", "a set", None),
    ]
    some = [
        usual | {"id": key, "sha256": sha256, "value": value, "reader": reader, "role": role}
        for key, (sha256, value, reader, role) in enumerate(said, start=1)
    ]
    some[0]["patient_hash"] = "p"
    insert(engine, {"label": some})
    migrate(engine)
    query = "SELECT * FROM valid_label ORDER BY sha256"
    made = rows(engine, query)
    assert [row[:2] for row in made] == [
        ("aa", "pneumonia"),
        *(("bb", "normal"), ("cc", "normal"), ("dd", "pneumonia")),
    ]
    with Session(engine) as session:
        check_counts(session)
        rebuild_valid_labels(session)
        session.commit()
    assert rows(engine, query) == made
    downgrade(engine, "0016")
    assert not inspect(engine).has_table("valid_label")
    migrate(engine)
    assert rows(engine, query) == made
