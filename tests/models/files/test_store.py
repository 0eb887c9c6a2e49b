"""The file store: equal bytes are stored once, completely, and readable by the owner only."""

import errno
import hashlib
import io
import stat
from pathlib import Path

import numpy as np
import pytest

from models.file_lock import LockedError
from models.files.partial import PartialFiles
from models.files.store import FileStore
from tests.support.data.uploads import files_in

CONTENT = b"bytes of a radiograph" * 1000


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


class FailingStream(io.BytesIO):
    """Raises the error after ten bytes."""

    def __init__(self, error: Exception) -> None:
        super().__init__(CONTENT)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise self._error
        return super().read(10)


def test_equal_bytes_are_stored_once_by_their_hash(store: FileStore) -> None:
    for _ in range(3):
        stored = store.put(io.BytesIO(CONTENT))
        store.put_bytes(CONTENT)
    assert (stored.sha256, stored.size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert store.path(stored.sha256, area="incoming").read_bytes() == CONTENT
    assert len(files_in(store)) == 2  # one uploaded, one stored


def test_put_of_an_interrupted_upload_leaves_nothing(store: FileStore) -> None:
    with pytest.raises(ConnectionError):
        store.put(FailingStream(ConnectionError("cut off")))
    assert files_in(store) == []


def test_adopt_links_a_complete_file(store: FileStore, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for _ in range(2):  # a crash after the first time
        store.adopt(whole, sha256)
        assert store.path(sha256, area="incoming").samefile(whole)
        assert [path.name for path in files_in(store)] == [sha256]


def test_files_and_folders_are_readable_by_the_owner_only(store: FileStore) -> None:
    store.put(io.BytesIO(CONTENT))
    with PartialFiles(store).hold(1) as partial:
        partial.append(io.BytesIO(CONTENT), at=0, max_bytes=10)
    store.put_network_input("ab" * 32, "1", np.zeros((224, 224), np.uint8))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files_in(store)}
    folders = {stat.S_IMODE(p.stat().st_mode) for p in store.root.rglob("*") if p.is_dir()}
    assert modes == {0o600}
    assert folders == {0o700}


def test_network_inputs_keep_the_order_asked_for(store: FileStore) -> None:
    inputs = {f"{n:02x}" * 32: np.full((224, 224), n, np.uint8) for n in range(3)}
    for sha256, network_input in inputs.items():
        store.put_network_input(sha256, "1", network_input)
    wanted = list(reversed(inputs))
    read = store.network_inputs(wanted, "1")
    assert read.shape == (3, 224, 224)
    assert [int(one[0, 0]) for one in read] == [2, 1, 0]
    assert not store.has_network_input(wanted[0], "2")
    with pytest.raises(FileNotFoundError):
        store.network_input(wanted[0], "2")


def test_delete_ignores_missing_files(store: FileStore) -> None:
    stored = store.put(io.BytesIO(CONTENT))
    store.delete(stored.sha256)
    store.delete(stored.sha256)
    assert not store.exists(stored.sha256, area="incoming")


def test_append_to_a_full_disk_keeps_nothing_of_the_part(store: FileStore) -> None:
    disk_is_full = OSError(errno.ENOSPC, "no space left")
    with PartialFiles(store).hold(1) as partial:
        partial.append(io.BytesIO(CONTENT), at=0, max_bytes=100)
        with pytest.raises(OSError, match="no space left"):
            partial.append(FailingStream(disk_is_full), at=100, max_bytes=100)
        assert partial.size == 100


def test_partial_file_is_locked_by_one_request(store: FileStore) -> None:
    files = PartialFiles(store)
    with files.hold(1) as partial:
        partial.append(io.BytesIO(CONTENT), at=0, max_bytes=10)
        with pytest.raises(LockedError), files.hold(1):
            pass
        with files.hold(2):
            pass
    with files.hold(1) as partial:
        assert partial.head(10) == CONTENT[:10]
        partial.discard()
    assert files.all() == []
