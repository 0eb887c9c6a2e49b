"""Dumped tables: anything else in a file is refused."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from models.operations.backup_folder import BackupDamagedError
from models.operations.dump import read_table, write_table
from models.session import WRITES
from models.tables.intake import Study
from tests.support.servers.databases import Database

NAMES = {"id": "plain", "study_hash": "plain", "created_at": "time"}
HEADER = {"table": "study", "columns": NAMES}
ROW = [1, "s", "2026-01-01T00:00:00+00:00"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"table": "user", "columns": NAMES}, ROW],
        [{"table": "study"}, ROW],
        [{"table": "study", "columns": NAMES | {"id": "odd"}}, ROW],
        [HEADER, ROW[:2]],
        [HEADER, [1, "s", "yesterday"]],
        [HEADER, [1, "s", 7]],
        [HEADER, 7],
    ],
)
def test_read_table_refuses_other_lines(
    database: Database, tmp_path: Path, lines: Sequence[object]
) -> None:
    path = tmp_path / "study.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    check_is_refused(database, path)


def check_is_refused(database: Database, path: Path) -> None:
    with (
        database.engine.execution_options(**WRITES).begin() as connection,
        pytest.raises(BackupDamagedError, match=path.name),
    ):
        read_table(connection, path, name="study", report=nobody)


def nobody(rows: int) -> None:
    """Reports nothing."""


def test_read_table_refuses_a_truncated_file(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl.gz"
    table: Any = Study.__table__
    with database.sessions.begin() as session:
        session.add_all([Study(study_hash=str(number)) for number in range(50)])
    with database.engine.connect() as connection:
        assert write_table(connection, table, path, report=nobody) == 50
    whole = path.read_bytes()
    for part in (whole[:-9], whole[:40], b"", b"no gzip", whole[:40] + b"\0" * 9 + whole[49:]):
        path.write_bytes(part)
        check_is_refused(database, path)
