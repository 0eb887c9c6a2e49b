"""`overread doctor`: absent parts are distinguished from wrong ones."""

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import update

from cli.lockfile import hold_data_folder
from cli.service import checks
from cli.service.checks import Finding, containment_findings, run_checks
from cli.settings import CommandSettings
from models.config.secrets import SECRETS_FILE, new_secrets, write_secrets
from models.config.settings import Settings
from models.files.store import FileStore
from models.learning.promotion import set_production
from models.learning.versions import register_version
from models.operations.heartbeat import Vitals, record_heartbeat
from models.operations.revision import newest_revision
from models.operations.upgrade import (
    RESTORING,
    alembic_config,
    migrate,
    migrating,
    upgrade,
)
from models.tables.intake import State
from models.tables.workers import Problem, Worker
from pipeline.prepare.pool import DecoderPool
from tests.support.data.damage import flip_a_bit
from tests.support.data.rows import a_job, a_term, an_image
from tests.support.data.versions import make_version
from tests.support.servers.command import run, run_on
from tests.support.servers.databases import Database, open_session


def check(name: str, settings: Settings) -> Finding:
    """After the check of the database, on which others depend."""
    ours = CommandSettings(**settings.model_dump(exclude_unset=True))
    *_, found = run_checks(ours, ["database", name])
    return found


def test_doctor_counts_orphans_and_names_the_first(settings: Settings) -> None:
    assert check("orphans", settings).status == "-", "there is no service yet"
    upgrade(settings)
    FileStore(settings.files_dir).put_bytes(b"a worker's, whose row is not yet written")
    assert check("orphans", settings) == Finding(
        "ok", "orphans", "every row has its files and every file its row"
    )
    with open_session(settings) as session:
        job = a_job(session)
        for file in ("1.png", "2.png"):
            an_image(session, job, file=file, content=file, state=State.RECEIVED)
    message = "2, e.g. image 1 (received): its upload is gone"
    assert check("orphans", settings) == Finding("WRONG", "orphans", message)


def test_doctor_tells_damaged_files_and_the_state_of_verification(settings: Settings) -> None:
    upgrade(settings)
    absent = Finding("-", "integrity", "nothing was verified yet; run: overread verify")
    assert check("integrity", settings) == absent
    store = FileStore(settings.files_dir)
    path = store.path(store.put_bytes(b"1").sha256)
    with open_session(settings) as session:
        image = an_image(session, a_job(session), state=State.CANCELLED)
        image.stored_sha256 = path.name
    assert run_on(settings, "verify").exit_code == 0
    found = check("integrity", settings)
    assert found.status == "ok"
    assert found.message.endswith(" UTC, 0 % of this round; 2 in the round before")
    flip_a_bit(path)
    assert run_on(settings, "verify").exit_code == 1
    message = f"1 file damaged or lost, e.g. stored/{path.name}; run: overread verify"
    assert check("integrity", settings) == Finding("WRONG", "integrity", message)


def test_database_of_a_starting_service_is_not_wrong(empty_database: Database) -> None:
    settings, name = empty_database.settings, empty_database.engine.dialect.name
    early = Finding("-", "database", f"{name}, not ready yet; the service is starting")
    settings.data_dir.chmod(0o700)
    with hold_data_folder(settings.data_dir), migrating(empty_database.engine) as connection:
        connection.exec_driver_sql("SELECT 1")
        assert check("database", settings) == early
        command.upgrade(alembic_config(connection), "head")
        assert check("database", settings) == early
        found = run_on(settings, "doctor")
        assert found.exit_code == 0, found.stdout
        assert "WRONG" not in found.stdout
        assert "orphans    not checked: the database is not ready" in found.stdout
        assert found.stdout.count("the service is starting") == 4, "broker, portal as well"
    assert check("database", settings).status == "ok"


def test_doctor_compares_the_secrets_with_the_database(settings: Settings) -> None:
    assert check("secrets", settings).status == "-", "there is no service yet"
    upgrade(settings)
    assert check("secrets", settings).status == "ok"
    path = settings.data_dir / SECRETS_FILE
    path.unlink()
    write_secrets(settings.data_dir, new_secrets())
    assert check("secrets", settings).status == "WRONG"
    assert "of another installation" in check("secrets", settings).message
    path.unlink()
    found = run_on(settings, "doctor")
    assert found.exit_code == 1
    assert f"WRONG secrets    {path} is missing: restore it from a backup" in found.stdout
    assert "training" in found.stdout, "the checks go on"


def test_database_does_not_exist_before_the_first_start(settings: Settings) -> None:
    with hold_data_folder(settings.data_dir):
        assert check("database", settings).message == "does not exist yet; the service is starting"
    assert check("database", settings).message == "does not exist yet; run: overread up"


def test_database_may_be_empty_older_newer_or_foreign(empty_database: Database) -> None:
    settings, engine = empty_database.settings, empty_database.engine
    name = engine.dialect.name
    engine.connect().close()  # makes SQLite's file
    expected = Finding("-", "database", f"{name}, no tables yet; run: overread up")
    assert check("database", settings) == expected
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE guest (id integer)")
    foreign = check("database", settings)
    assert foreign == Finding("WRONG", "database", "contains tables of another program")
    migrate(engine, "0001")
    older = f"tables are at 0001, not {newest_revision()}; run: overread migrate"
    assert check("database", settings) == Finding("WRONG", "database", older)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert check("database", settings).message == "tables are at 9999, of a later release"


def test_interrupted_restore_is_wrong_and_a_running_one_is_not(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o700)
    (settings.data_dir / RESTORING).write_text("20990101T000000Z")
    with hold_data_folder(settings.data_dir):
        assert check("database", settings).message == "does not exist yet; a restore is running"
        assert check("data", settings).status == "ok"
    found = check("data", settings)
    assert found.status == "WRONG"
    assert "is half restored; run the same overread restore again" in found.message


def test_low_disk_space_names_the_setting(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    found = check("data", Settings(data=tmp_path, disk_reserve_bytes=2**60))
    assert found.status == "WRONG"
    assert found.message.endswith("below OVERREAD_DISK_RESERVE_BYTES: uploads are refused")


def test_doctor_masks_secrets_and_reports_an_absent_broker(tmp_path: Path) -> None:
    result = run(
        "doctor",
        OVERREAD_DATA=str(tmp_path / "data"),
        OVERREAD_BROKER_URL="redis://:hidden@127.0.0.1:9/0",
        OVERREAD_TOKEN="hidden-too",
    )

    assert result.exit_code == 1, "nothing answers on that port"
    assert "hidden" not in result.stdout
    assert "does not answer" in result.stdout
    assert not (tmp_path / "data").exists(), "the check created the folder"


def put_in_production(data_dir: Path, folder: Path) -> None:
    settings = Settings(data=data_dir)
    with open_session(settings) as session:
        version = register_version(session, folder=folder, data_dir=data_dir)
        set_production(session, version, reason="for a test")


def test_doctor_opens_the_production_version_at_the_configured_threshold(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    upgrade(Settings(data=data_dir))
    put_in_production(data_dir, make_version(data_dir / "networks" / "two-points"))

    good = run("doctor", OVERREAD_DATA=str(data_dir), OVERREAD_OPERATING_POINT="sensitive")

    assert good.exit_code == 0, good.stdout
    assert ["*", "OPERATING_POINT", "sensitive"] in [
        line.split() for line in good.stdout.splitlines()
    ]
    assert "two-points answers (sensitive, threshold 0.2)" in good.stdout

    folder = make_version(data_dir / "networks" / "one-point", points={"balanced": 0.5})
    put_in_production(data_dir, folder)

    wrong = run("doctor", OVERREAD_DATA=str(data_dir), OVERREAD_OPERATING_POINT="sensitive")

    assert wrong.exit_code == 1
    (line,) = [line for line in wrong.stdout.splitlines() if "WRONG" in line]
    assert "one-point has no operating point sensitive, only balanced" in line


def test_doctor_warns_of_each_missing_layer_of_containment() -> None:
    granted = {"landlock": "on", "seccomp": "on"}
    (contained,) = containment_findings(granted)
    assert contained == Finding(
        "ok", "decoders", "hostile files are contained by landlock, seccomp"
    )
    denied = granted | {"landlock": "Function not implemented", "namespaces": "not permitted"}
    assert [
        (one.status, one.message.partition("by ")[2]) for one in containment_findings(denied)
    ] == [
        ("WARNING", "landlock: Function not implemented"),
        ("WARNING", "namespaces: not permitted"),
    ]


def test_a_kernel_without_room_for_decoders_is_wrong(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> DecoderPool:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(checks, "DecoderPool", refuse)
    found = run_on(settings, "doctor")
    assert found.exit_code == 1
    assert "WRONG decoders   Resource temporarily unavailable" in found.stdout, found.stdout


@pytest.mark.parametrize("name", ["OVERREAD_CHUNK_TIME_LIMIT_S", "overread_chunk_time_limit_s"])
def test_doctor_goes_on_without_a_setting_that_contradicts_a_default(
    settings: Settings, name: str
) -> None:
    result = run("doctor", OVERREAD_DATA=str(settings.data), **{name: "10"})
    assert result.exit_code == 1
    assert result.stdout.count("WRONG settings   OVERREAD_DECODE_TIMEOUT_S: expected at most") == 1
    assert "CHUNK_TIME_LIMIT_S       120" in result.stdout, "the default"
    assert "training" in result.stdout, "the checks go on"


ALWAYS = ("data", "database", "writes", "broker", "files", "network", "workers", "portal")


def test_doctor_runs_every_check_whatever_fails_before(tmp_path: Path) -> None:
    """Settings that are wrong, and a data folder that nothing can be read from."""
    (tmp_path / "file").touch()
    result = run(
        "doctor",
        OVERREAD_DATA=str(tmp_path / "file" / "data"),
        OVERREAD_CHUNK_SIZE="many",
        OVERREAD_NO_SUCH="1",
    )
    assert result.exit_code == 1
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    checks = [words[1] for words in lines[lines.index(["Checks"]) + 1 :]]
    assert checks[:2] == ["settings", "settings"]
    assert set(ALWAYS) <= set(checks)
    assert "OVERREAD_NO_SUCH: unknown setting" in result.stdout
    assert "OVERREAD_CHUNK_SIZE: " in result.stdout


def test_doctor_tells_what_workers_cannot_do_and_of_a_store_that_is_away(
    settings: Settings,
) -> None:
    upgrade(settings)
    for name in ("writes", "files"):
        assert check(name, settings).status == "ok"
    assert check("workers", settings).status == "-", "the service does not run"
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with open_session(settings) as session:
        record_heartbeat(session, "ingest")
        broken = Vitals(failures=9, problem=Problem.VERSION, problem_since=since)
        record_heartbeat(session, "predict", vitals=broken)
    assert check("workers", settings) == Finding(
        "WRONG",
        "workers",
        "predict: cannot-open-version since 2026-03-01 12:00 UTC; "
        "the reason is in the log of the worker",
    )
    with open_session(settings) as session:
        session.execute(update(Worker).values(seen_at=since))
        record_heartbeat(session, "ingest", name="ingest@new")
    assert check("workers", settings).message.startswith("predict: no-heartbeat; ")
    settings.files_dir.rename(settings.data_dir / "elsewhere")
    found = check("files", settings)
    assert (found.status, found.message) == (
        "WRONG",
        f"{settings.files_dir}: the file store is missing or empty: is its disk mounted?",
    )
    assert not settings.files_dir.exists()


def test_doctor_counts_unknown_words_without_naming_them(settings: Settings) -> None:
    upgrade(settings)
    assert check("words", settings).status == "ok"
    with open_session(settings) as session:
        a_term(session, "SNARK")
    found = check("words", settings)
    assert (found.status, found.message) == (
        "WARNING",
        "1 unknown word for body parts or views; an admin opens the page Words",
    )
