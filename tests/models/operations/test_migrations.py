"""Migrations make exactly the tables that the program expects, and remove them again."""

from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from models.base import Base
from models.operations.upgrade import migrate
from tests.support.data.first_release import insert
from tests.support.servers.databases import Database, downgrade


def test_migrations_make_the_tables_of_the_program(empty_database: Database) -> None:
    migrate(empty_database.engine)
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_downgrade_and_upgrade(empty_database: Database) -> None:
    migrate(empty_database.engine)
    downgrade(empty_database.engine)
    assert set(inspect(empty_database.engine).get_table_names()) == {"alembic_version"}
    migrate(empty_database.engine)
    assert inspect(empty_database.engine).has_table("image")


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


TIME = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANSWER: dict[str, object] = {
    "logit": 1.5,
    "probability": 0.7,
    "threshold": 0.41,
    "finding": "pneumonia",
    "unfamiliarity": 0.1,
    "warnings": [],
    "heatmap": b"",
    "heatmap_rows": 7,
    "heatmap_columns": 7,
    "heatmap_peak": 3.0,
    "engine": "a test",
    "created_at": TIME,
}


def prediction(number: int, sha256: str, version: int, **further: object) -> dict[str, object]:
    return {"id": number, "sha256": sha256, "model_version_id": version, **ANSWER, **further}


def image(number: int, sha256: str) -> dict[str, object]:
    times = {"created_at": TIME, "finished_at": TIME}
    names = {"id": number, "job_id": "job", "file": f"{number}.png", "sha256": sha256}
    return {**names, **times, "size": 9, "state": "predicted", "attempts": 1}


def fill_first_tables(engine: Engine) -> None:
    """As the first release left them: two versions, the second of whose cards says little."""
    migrate(engine, "0001")
    cards: tuple[dict[str, object], ...] = ({"temperature": 1.25}, {})
    versions = [
        {"id": number, "name": f"v{number}", "card": card, "created_at": TIME}
        for number, card in enumerate(cards, start=1)
    ]
    answers = [prediction(1, "aa", 1), prediction(2, "aa", 2), prediction(3, "bb", 1)]
    insert(engine, {"model_version": versions, "prediction": answers})
    user = {"id": 1, "name": "olga", "role": "operator", "is_active": True, "created_at": TIME}
    job = {"id": "job", "name": "a job", "user_id": 1, "created_at": TIME}
    insert(engine, {"user": [user], "job": [job], "image": [image(1, "aa"), image(2, "bb")]})


STATES = "SELECT id, state, attempts, finished_at IS NULL FROM image ORDER BY id"
ANSWERS = "SELECT id, sha256, probability, finding FROM prediction ORDER BY id"


def test_upgrade_from_0001_names_operating_points(empty_database: Database) -> None:
    engine = empty_database.engine
    fill_first_tables(engine)
    before = rows(engine, ANSWERS)
    migrate(engine)
    assert rows(engine, ANSWERS) == before
    assert rows(
        engine,
        "SELECT operating_point, temperature, heatmap_peak, heatmap_concentration,"
        " heatmap_inside_body FROM prediction ORDER BY id",
    ) == [
        ("balanced", 1.25, 3.0, None, None),
        ("balanced", None, 3.0, None, None),
        ("balanced", 1.25, 3.0, None, None),
    ]
    downgrade(engine, "0001")
    assert rows(engine, ANSWERS) == before
    assert "operating_point" not in {c["name"] for c in inspect(engine).get_columns("prediction")}


def test_downgrade_to_0001_deletes_predictions_of_other_points(empty_database: Database) -> None:
    """The old tables know one point: an answer of another would be shown as that one's."""
    engine = empty_database.engine
    fill_first_tables(engine)
    migrate(engine)
    insert(engine, {"prediction": [prediction(4, "aa", 1, operating_point="sensitive")]})
    with engine.begin() as connection:
        connection.execute(text("UPDATE prediction SET operating_point = 'sensitive' WHERE id = 3"))
    downgrade(engine, "0001")
    assert [row[0] for row in rows(engine, ANSWERS)] == [1, 2]
    assert rows(engine, STATES) == [(1, "predicted", 1, False), (2, "ready", 0, True)]
    migrate(engine)
    assert [row[0] for row in rows(engine, ANSWERS)] == [1, 2]


MOVES = "SELECT id, model_version_id, move FROM model_alias ORDER BY id"


def test_upgrade_from_0002_records_production_as_promoted(empty_database: Database) -> None:
    engine = empty_database.engine
    fill_first_tables(engine)
    migrate(engine, "0002")
    alias = {"name": "production", "reason": "for a test", "created_at": TIME}
    insert(engine, {"model_alias": [{"id": n, "model_version_id": n, **alias} for n in (1, 2)]})
    migrate(engine)
    assert rows(engine, MOVES) == [(1, 1, "promotion"), (2, 2, "promotion")]
    uids = "SELECT id, sop_instance_uid FROM image ORDER BY id"
    assert rows(engine, uids) == [(1, None), (2, None)]
    back = {"id": 3, "model_version_id": 1, "move": "roll-back", **alias}
    insert(engine, {"model_alias": [back]})
    label = {"sha256": "aa", "value": "normal", "reader": "rita", "source": "csv", "user_id": 1}
    insert(engine, {"label": [{"id": 1, **label, "read_at": TIME, "created_at": TIME}]})
    downgrade(engine, "0002")
    older = "SELECT id, model_version_id FROM model_alias ORDER BY id"
    assert rows(engine, older) == [(1, 1), (2, 2), (3, 1)]
    assert not inspect(engine).has_table("label")
    migrate(engine)
    assert [move for *_, move in rows(engine, MOVES)] == ["promotion"] * 3


JOBS = "SELECT id, name, user_id FROM job ORDER BY id"


def test_downgrade_to_0005_keeps_jobs_and_users(empty_database: Database) -> None:
    engine = empty_database.engine
    fill_first_tables(engine)
    migrate(engine)
    further = {"name": "a job", "user_id": 1, "created_at": TIME}
    # Any number without a key, as all were before.
    keys = {"b": None, "c": None, "d": "a key"}
    insert(engine, {"job": [{"id": name, **further, "key": key} for name, key in keys.items()]})
    with pytest.raises(IntegrityError):
        insert(engine, {"job": [{"id": "e", **further, "key": "a key"}]})
    downgrade(engine, "0005")
    assert [row[0] for row in rows(engine, JOBS)] == ["b", "c", "d", "job"]
    assert "login" not in inspect(engine).get_table_names()
    migrate(engine)
    assert [row[0] for row in rows(engine, JOBS)] == ["b", "c", "d", "job"]
    assert rows(engine, 'SELECT name, session_epoch FROM "user"') == [("olga", 0)]


CODES = "SELECT id, reason_code FROM image ORDER BY id"
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


def test_upgrade_from_0006_fills_reason_codes(empty_database: Database) -> None:
    engine = empty_database.engine
    fill_first_tables(engine)
    migrate(engine, "0006")
    images = [
        image(number, f"{number}") | {"state": state, "reason": reason}
        for number, (state, reason) in enumerate(OLD_REASONS, start=3)
    ]
    insert(engine, {"image": images})
    before = rows(engine, "SELECT id, state, reason FROM image ORDER BY id")
    migrate(engine)
    assert rows(engine, CODES) == [(1, None), (2, None), *enumerate(OLD_REASONS.values(), start=3)]
    downgrade(engine, "0006")
    assert rows(engine, "SELECT id, state, reason FROM image ORDER BY id") == before
    assert "reason_code" not in {c["name"] for c in inspect(engine).get_columns("image")}
    if empty_database.settings.is_sqlite:
        (made,) = rows(engine, "SELECT sql FROM sqlite_master WHERE name = 'image'")
        assert "AUTOINCREMENT" in str(made[0])
    migrate(engine)
    assert rows(engine, "SELECT id, state, reason FROM image ORDER BY id") == before
