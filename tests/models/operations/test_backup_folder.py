"""A folder of backups is data from elsewhere: it is checked before it is used."""

import gzip
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.operations.backup_folder import (
    FILE_LIST,
    FORMAT,
    MANIFEST,
    BackupDamagedError,
    BackupRefusedError,
    Backups,
    Manifest,
    write_manifest,
)

NAME = "20260101T000000Z"
CONTENT = "a" * 64


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    (tmp_path / "backups" / NAME).mkdir(parents=True)
    return Backups(tmp_path)


def write_list(backups: Backups, *lines: object) -> None:
    with gzip.open(backups.folder / NAME / FILE_LIST, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    "path",
    [
        *("../../elsewhere", "/etc/cron.d/mine", "files/../../elsewhere", "networks/../token"),
        *("overread.sqlite3", "secrets.json", "service.json", ".restoring/note.json", "files", ""),
        *("files/temporary/x", "files/purged/x.json", "./files/stored/x", "files/stored//x"),
        *("files/stored/\0", "files/stored/\ud800", "files/stored/\n", "networks/ä", 7, None),
    ],
)
def test_file_list_leads_nowhere_else(backups: Backups, path: object) -> None:
    good = ["files/stored/aa/" + CONTENT, CONTENT, 1, 1]
    write_list(backups, good, [path, CONTENT, 1, 1])
    files = backups.files(NAME)
    assert next(files).path == good[0]
    with pytest.raises(BackupDamagedError, match="damaged"):
        next(files)


@pytest.mark.parametrize("line", [[], ["networks/v2/card.json", "../x", 1, 1], {}, 3, "x" * 9])
def test_malformed_file_list_is_damaged(backups: Backups, line: object) -> None:
    write_list(backups, line)
    with pytest.raises(BackupDamagedError, match="damaged"):
        list(backups.files(NAME))


@pytest.mark.parametrize(
    ("made_at", "name"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 900_000, UTC), "20260102T030405Z"),
        (datetime(2026, 1, 1, tzinfo=UTC), "20260101T000001Z"),  # two within a second
        (datetime(2025, 12, 31, tzinfo=UTC), "20260101T000001Z"),  # the clock was set back
    ],
)
def test_newest_backup_sorts_last_whatever_the_clock(
    backups: Backups, made_at: datetime, name: str
) -> None:
    assert backups.next_name(made_at) == name
    (backups.folder / name).mkdir()
    assert backups.names() == [NAME, name]


def test_manifest_seal_detects_any_flipped_bit(backups: Backups) -> None:
    path = backups.folder / NAME / MANIFEST
    counts = {"image": 7}
    manifest = Manifest(FORMAT, "now", "1", "0006", counts, counts, 1, 1, 0, 0, {"token": CONTENT})
    write_manifest(path, manifest)
    good = path.read_bytes()
    assert backups.manifest(NAME) == manifest.sealed()
    draw = random.Random(5)
    for _ in range(300):
        at, bit = draw.randrange(len(good)), 1 << draw.randrange(8)
        path.write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
        try:
            assert backups.manifest(NAME) == manifest.sealed(), "a changed blank changes nothing"
        except (BackupDamagedError, BackupRefusedError):
            continue
