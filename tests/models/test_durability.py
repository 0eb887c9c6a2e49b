"""What is said to be stored survives a power cut."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from models.config.secrets import write_private
from models.files.partial import PartialFiles
from models.files.store import FileStore
from models.session import make_sessions
from pipeline.atomic_file import new_folder, write_file
from tests.support.data.power_cut import Disk
from tests.support.servers.databases import Database

CONTENT = b"bytes of a radiograph" * 1000
SHA256 = "ab" * 32


def put(root: Path) -> None:
    FileStore(root).put(io.BytesIO(CONTENT))


def put_hashed(root: Path) -> None:
    FileStore(root).put(io.BytesIO(CONTENT), sha256=SHA256)


def put_bytes(root: Path) -> None:
    FileStore(root).put_bytes(CONTENT)


def put_network_input(root: Path) -> None:
    FileStore(root).put_network_input(SHA256, "1", np.zeros((224, 224), np.uint8))


def put_together(root: Path) -> None:
    store = FileStore(root)
    with store.group() as files:
        store.put_bytes(CONTENT, group=files)
        store.put_network_input(SHA256, "1", np.zeros((224, 224), np.uint8), group=files)


def send_a_piece(root: Path) -> None:
    with PartialFiles(FileStore(root)).hold(1) as partial:
        partial.append(io.BytesIO(CONTENT), at=0, max_bytes=len(CONTENT))


def send_another_piece(root: Path) -> None:
    send_a_piece(root)
    with PartialFiles(FileStore(root)).hold(1) as partial:
        partial.append(io.BytesIO(CONTENT), at=len(CONTENT), max_bytes=len(CONTENT))


def adopt(root: Path) -> None:
    send_a_piece(root)
    FileStore(root).adopt(root / "partial" / "1", SHA256)


def write(root: Path) -> None:
    write_file(root / "a", CONTENT)


def write_once(root: Path) -> None:
    write_file(root / "a", CONTENT, replace=False)


def write_over(root: Path) -> None:
    write_private(root / "a", "first")
    write_private(root / "a", "second")


def make_a_folder(root: Path) -> None:
    with new_folder(root / "networks" / "night-1") as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "network.bin").write_bytes(CONTENT)
        (folder / "card.json").write_text("{}")


@pytest.mark.parametrize(
    "store",
    [
        put,
        put_hashed,
        put_bytes,
        put_network_input,
        put_together,
        send_a_piece,
        send_another_piece,
        adopt,
        write,
        write_once,
        write_over,
        make_a_folder,
    ],
)
def test_what_is_stored_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Callable[[Path], None]
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    store(tmp_path)
    stored = files_below(tmp_path)
    assert stored
    assert stored.items() <= disk.survivors().items()


@pytest.mark.parametrize("store", [put, put_bytes, put_network_input, write, make_a_folder])
def test_power_cut_at_any_time_leaves_a_name_with_its_whole_content_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Callable[[Path], None]
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    store(tmp_path)
    stored = files_below(tmp_path)
    assert len(disk.history) > 1
    for survivors in disk.history:
        assert {name: survivors[name] for name in stored.keys() & survivors.keys()} in ({}, stored)


def test_files_stored_together_are_on_disk_before_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    put_together(tmp_path)
    stored = files_below(tmp_path)
    before = disk.history[-2]
    assert {Path(name).parts[0] for name in before if name in stored or before[name]} == {
        "temporary"
    }
    assert sorted(filter(None, before.values())) == sorted(stored.values())


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_commits_of_every_connection_are_forced_to_disk(database: Database) -> None:
    """SQLite in WAL mode forces a commit to disk with FULL only (2); NORMAL may lose the newest."""
    sessions = make_sessions(database.settings)
    with sessions() as reading, sessions.begin() as writing:
        for session in (reading, writing):
            assert session.scalar(text("PRAGMA synchronous")) == 2
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
    sessions.engine.dispose()
