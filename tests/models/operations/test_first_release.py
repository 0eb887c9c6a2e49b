"""An installation of the first release is upgraded with all its data, and downgraded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from models.audit.verify import verify
from models.config.secrets import local_token_path
from models.config.settings import MADE_FILE
from models.context import AppContext, open_context
from models.files.orphans import find_orphans
from models.files.seal import SEAL
from models.learning.promotion import production_history, production_version
from models.learning.versions import check_servable, find_version
from models.operations.seal_inputs import DONE
from models.operations.upgrade import migrate, upgrade
from models.people.local_token import LOCK_FILE
from models.reading.results import iter_results
from models.tables.intake import Image, Move, Prediction, State
from models.tables.people import Role, Token, User
from pipeline.prepare.pool import DecoderPool
from tests.support.data.first_release import (
    OPEN_JOB,
    OWN,
    TOKEN,
    Rows,
    install_first_release,
    read_rows,
)
from tests.support.data.kept import fill_history
from tests.support.data.rows import a_hash
from tests.support.servers.databases import Database, downgrade
from tests.support.web.pages import get_picture
from web.app import create_app
from worker import enqueue
from worker.ingest.chunk import ingest_chunk
from worker.predict import LivePredictor, predict_chunk

ON_SQLITE = pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)


@pytest.fixture
def context(empty_database: Database) -> Iterator[AppContext]:
    """Installed as the first release was, then upgraded."""
    settings = empty_database.settings
    install_first_release(settings, empty_database.engine)
    before, files = read_rows(empty_database.engine), files_in(settings.data_dir)
    upgrade(settings)
    check_rows(before, read_rows(empty_database.engine))
    check_files(files, files_in(settings.data_dir))
    opened = open_context(settings)
    yield opened
    opened.close()


def files_in(data_dir: Path) -> dict[str, bytes]:
    paths = [path for path in data_dir.rglob("*") if path.is_file() and "sqlite" not in path.name]
    found = {str(path.relative_to(data_dir)): path.read_bytes() for path in paths}
    assert {"token", "secrets.json"} < found.keys()
    return found


def check_files(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """All are as they were, but network inputs have got a seal, and the local token is new."""
    assert after.keys() - before.keys() == {MADE_FILE, LOCK_FILE, f"files/{DONE}"}
    assert after.pop("token") != before["token"]
    for name, content in before.items():
        if name == "token":
            continue
        is_input = name.startswith("files/inputs/")
        assert after[name] == content or (is_input and after[name][:-SEAL] == content)


def check_rows(before: Rows, after: Rows, *, but: tuple[str, ...] = ()) -> None:
    """What both know is equal; rows and columns may have been added, and columns removed."""
    for table in (before.keys() & after.keys()) - set(but):
        known = after[table][: len(before[table])]
        for old, new in zip(before[table], known, strict=True):
            common = old.keys() & new.keys()
            assert {name: old[name] for name in common} == {name: new[name] for name in common}


def test_upgrade_keeps_everything_and_leaves_no_orphans(context: AppContext) -> None:
    assert find_orphans(context.sessions, context.store) == []
    with context.sessions() as session:
        assert verify(session).is_intact
        own, live = find_version(session, OWN), production_version(session)
        assert own is not None
        assert live is own, "a site's own network stays live"
        check_servable(own, context.settings)
        results = iter_results(session, operating_point=context.settings.operating_point)
        answers = [(row.model_version, row.probability) for row in results if row.finding]
        stored = session.scalars(select(Prediction).order_by(Prediction.id)).all()
        moves = [(entry.model_version_id, entry.move) for entry in production_history(session)]
    assert answers == [(OWN, 0.7), ("baseline-1", 0.7)]
    points = [(one.operating_point, one.temperature, one.heatmap_inside_body) for one in stored]
    assert points == [("balanced", temperature, None) for temperature in (1.67, None, 1.67)]
    assert moves == [(2, Move.PROMOTION), (1, Move.PROMOTION)]


def test_upgrade_never_frees_ids(context: AppContext) -> None:
    """SQLite's tables of the first release gave out ids of deleted rows again."""
    with context.sessions.begin() as session:
        newest = session.scalars(select(Prediction).order_by(Prediction.id.desc())).first()
        assert newest is not None
        copied = {name: value for name, value in vars(newest).items() if name[0] != "_"}
        session.delete(newest)
        session.flush()
        again = Prediction(**copied | {"id": None})
        session.add(again)
        session.flush()
        assert again.id == copied["id"] + 1


def local_token(context: AppContext) -> str:
    return local_token_path(context.settings.data_dir).read_text().strip()


@ON_SQLITE
def test_old_predictions_are_shown_to_old_users(context: AppContext) -> None:
    enqueue.connect(context.settings)
    app = create_app(context.settings)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    assert client.get("/api/v1/jobs").status_code == 401, "it was replaced"
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {local_token(context)}"
    listed = client.get("/api/v1/results?format=json").json
    by_id = {row["image_id"]: row for row in listed["results"]}
    first = by_id[3]
    assert (first["operating_point"], first["threshold"]) == ("balanced", 0.41)
    assert first["warnings"] == ["colour picture", "dark"]
    assert by_id[5]["reason"] == "Müller 5.png: not an image"
    codes = [by_id[number]["reason_code"] for number in (2, 3, 5, 6)]
    assert codes == [None, None, "other", "other"]
    for path in ("studies/2?image=3", "api/v1/images/3/overlay.png", "jobs/" + OPEN_JOB, "nights"):
        answer = get_picture(client, f"/{path}")
        assert answer.status_code == 200, answer.text
    app.extensions["overread"].sessions.engine.dispose()


@ON_SQLITE
def test_unfinished_work_continues_after_the_upgrade(context: AppContext) -> None:
    enqueue.connect(context.settings)
    with DecoderPool(processes=1, timeout_s=20, key=context.secrets.identity_key) as pool:
        assert ingest_chunk(context, pool)
    live = LivePredictor()
    while predict_chunk(context, live):
        pass
    with context.sessions() as session:
        states = session.scalars(select(Image.state).order_by(Image.id)).all()
        assert session.scalar(select(func.count()).select_from(Prediction)) == 3 + 2
    assert states[:4] == [State.PREDICTED] * 4
    assert find_orphans(context.sessions, context.store) == []


def test_downgrade_to_the_first_tables_and_upgrade(
    context: AppContext, empty_database: Database
) -> None:
    engine = empty_database.engine
    before = read_rows(engine)
    downgrade(engine, "0001")
    # The first release knows no revoked tokens, so the downgrade deletes them.
    before["token"] = [row for row in before["token"] if row["revoked_at"] is None]
    check_rows(before, read_rows(engine))
    before["token"] = [row for row in before["token"] if row["kind"] != "local"]
    upgrade(context.settings)
    check_rows(before, read_rows(engine), but=("audit", "installation", "kept_count"))
    with context.sessions() as session:
        assert verify(session).is_intact


def test_each_downgrade_keeps_what_the_older_tables_can_hold(empty_database: Database) -> None:
    """From a history with labels, nights, snapshots, declared uploads, scoped tokens."""
    engine, settings = empty_database.engine, empty_database.settings
    upgrade(settings)
    context = open_context(settings)
    fill_history(context)
    give_scoped_token(context)
    newest = read_rows(engine)
    for step in ("0003", "0002", "0001"):
        before = read_rows(engine)
        downgrade(engine, step)
        older = read_rows(engine)
        check_rows(before, older, but=("image", "token"))
        migrate(engine)
        check_rows(older, read_rows(engine))
    after = read_rows(engine)
    assert {name for name in newest if newest[name] and not after[name]} == {
        *("dataset_snapshot", "evaluation", "fingerprint", "imported_dataset", "imported_image"),
        *("installation", "label", "lockout", "night", "rereading", "snapshot_image", "upload"),
        "valid_label",
    } & {name for name, rows in newest.items() if rows}
    states = {row["id"]: (row["state"], row["reason"]) for row in after["image"]}
    for row in newest["image"]:
        was = (row["state"], row["reason"])
        cancelled = ("failed", "the job was cancelled")
        assert states[row["id"]] == (cancelled if was[0] == "cancelled" else was)
    assert [row["name"] for row in after["token"]] == [None], "the scoped one did not come back"
    context.close()


def give_scoped_token(context: AppContext) -> None:
    with context.sessions.begin() as session:
        user = session.scalars(select(User).where(User.name == "olga")).one()
        user.password_hash = "argon2"
        scoped = Token(user_id=user.id, kind="api", digest=a_hash("t"), role=Role.VIEWER)
        session.add(scoped)
