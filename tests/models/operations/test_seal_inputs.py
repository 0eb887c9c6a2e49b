"""Network inputs of older releases, which had no seal."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest

from models.files.seal import PIXELS
from models.files.store import FileStore
from models.learning.datasets import add_fingerprints
from models.operations.seal_inputs import DONE, are_sealed, seal_inputs
from pipeline.errors import DamagedFileError
from tests.support.servers.databases import Database

NAMES = [f"{number:02x}" * 32 for number in range(4)]


@pytest.fixture
def store(database: Database) -> FileStore:
    """With four inputs of an older release."""
    store = FileStore(database.settings.files_dir)
    for number, sha256 in enumerate(NAMES):
        path = store.root / "inputs" / "1" / sha256[:2] / sha256
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([number]) * PIXELS)
    return store


def paths(store: FileStore) -> list[Path]:
    return [path for sha256 in NAMES for path in store.paths("inputs", sha256)]


def test_old_network_inputs_are_sealed_once(database: Database, store: FileStore) -> None:
    seal_inputs(database.sessions, store)
    for number, sha256 in enumerate(NAMES):
        assert (store.network_input(sha256, "1") == number).all()
    cut = paths(store)[0]
    cut.write_bytes(bytes(PIXELS))
    seal_inputs(database.sessions, store)
    with pytest.raises(DamagedFileError):
        store.network_input(NAMES[0], "1")


def test_killed_sealing_continues(database: Database, store: FileStore) -> None:
    store.put_network_input(NAMES[0], "1", np.zeros((224, 224), np.uint8))
    sealed = paths(store)[0]
    before = sealed.stat().st_mtime_ns
    assert not (store.root / DONE).exists()
    seal_inputs(database.sessions, store)
    assert sealed.stat().st_mtime_ns == before
    assert {path.stat().st_size for path in paths(store)} == {sealed.stat().st_size}


def test_input_that_differs_from_its_fingerprint_is_not_sealed(
    database: Database, store: FileStore
) -> None:
    known = {
        sha256: (hashlib.sha256(bytes([0]) * PIXELS).hexdigest(), "0" * 64) for sha256 in NAMES[:2]
    }
    with database.sessions.begin() as session:
        add_fingerprints(session, known, preprocessing="1")
    paths(store)[3].write_bytes(b"cut short")
    seal_inputs(database.sessions, store)
    assert (store.network_input(NAMES[0], "1") == 0).all()
    assert (store.network_input(NAMES[2], "1") == 2).all()
    for damaged in (NAMES[1], NAMES[3]):
        with pytest.raises(DamagedFileError):
            store.network_input(damaged, "1")


def test_input_that_cannot_be_read_does_not_stop_the_others(
    database: Database, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, read = paths(store)[1], Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == bad:
            raise OSError(errno.EIO, "a bad sector")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    seal_inputs(database.sessions, store)
    assert (store.network_input(NAMES[2], "1") == 2).all()
    assert are_sealed(store)
