"""`overread audit`: whoever has the data folder can look, with no service running."""

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import update

from models.audit.log import record
from models.config.secrets import SECRETS_FILE
from models.config.settings import Settings
from models.operations.upgrade import upgrade
from models.tables.intake import Audit
from tests.support.servers.command import run, run_on
from tests.support.servers.databases import make_secrets, open_session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data=tmp_path / "data")
    upgrade(settings)
    with open_session(settings) as session:
        for number in range(50):
            record(session, user_id=1, action="study.viewed", target=f"={number}")
    return settings


def test_it_prints_saves_and_verifies(settings: Settings, tmp_path: Path) -> None:
    printed = run_on(settings, "audit")
    assert "study.viewed" in printed.stdout
    assert "=49" in printed.stdout
    assert "... and 10 earlier" in printed.stdout
    saved = run_on(settings, "audit", "--verify", "--export", tmp_path / "a.csv")
    assert (saved.exit_code, saved.stdout) == (0, "Audit chain verified: 51 rows, up to row 51\n")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["target"] for row in rows[:2]] == ["'=0", "'=1"]
    assert (rows[-1]["person"], rows[-1]["action"]) == ("admin", "audit.exported")


def test_it_says_what_is_broken(settings: Settings, tmp_path: Path) -> None:
    with open_session(settings) as session:
        session.execute(update(Audit).where(Audit.id == 7).values(user_id=None))
    broken = run_on(settings, "audit", "--verify")
    assert broken.exit_code == 1
    assert "Audit chain verification failed at row 7" in broken.stderr
    assert "WRONG audit      broken at row 7" in run_on(settings, "doctor").stdout
    lines = tmp_path / "a.jsonl"
    assert run_on(settings, "audit", "--export", lines).exit_code == 0
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()][-1] == 51


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    none = Settings(data=tmp_path / "none")
    nothing = run_on(none, "audit")
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "none").exists()
    none.data_dir.mkdir()
    (none.data_dir / "overread.sqlite3").touch()
    make_secrets(none.data_dir)
    empty = run_on(none, "audit")
    cause = "the database cannot be read: no such table: audit; see: overread doctor"
    assert (empty.exit_code, empty.stderr) == (1, f"Error: {cause}\n")
    odd = run_on(none, "audit", "--export", "audit.txt")
    assert "expected a name that ends in .csv or .jsonl" in odd.stderr


@pytest.mark.parametrize("command", ["audit --verify", "verify", "login-link"])
def test_the_database_of_another_installation_is_refused(settings: Settings, command: str) -> None:
    (settings.data_dir / SECRETS_FILE).unlink()
    make_secrets(settings.data_dir)
    environment = {"OVERREAD_DATA": str(settings.data), "OVERREAD_URL": "http://here"}
    refused = run(*command.split(), **environment)
    assert refused.exit_code == 1
    assert "secrets.json is of another installation than the database" in refused.stderr
    assert not list(settings.data_dir.glob("audit*")), "no anchor for its rows"
