"""The file store: equal bytes are stored once, completely, and readable by the owner only."""

import errno
import hashlib
import io
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.file_lock import LockedError
from models.files.deletion_lock import hold_deletions
from models.files.partial import PartialFiles
from models.files.store import BlobArea, FileStore
from pipeline.errors import DamagedFileError
from pipeline.types import PREPROCESSING
from tests.support.data.damage import flip_a_bit, swap
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


def test_network_input_is_one_of_a_preprocessing(store: FileStore) -> None:
    sha256, network_input = "ab" * 32, np.full((224, 224), 7, np.uint8)
    store.put_network_input(sha256, "0", network_input)
    np.testing.assert_array_equal(store.network_input(sha256, "0"), network_input)
    assert not store.has_network_input(sha256, PREPROCESSING)
    with pytest.raises(FileNotFoundError):
        store.network_input(sha256, PREPROCESSING)


@pytest.mark.parametrize(("made", "asked"), [("1", "2"), ("2", "1")])
def test_network_input_of_an_equivalent_preprocessing_is_used(
    store: FileStore, made: str, asked: str
) -> None:
    sha256, network_input = "ab" * 32, np.full((224, 224), 7, np.uint8)
    store.put_network_input(sha256, made, network_input)
    assert store.has_network_input(sha256, asked)
    assert store.renew_network_input(sha256, asked)
    np.testing.assert_array_equal(store.network_input(sha256, asked), network_input)
    store.put_network_input(sha256, asked, network_input + 1)
    np.testing.assert_array_equal(store.network_input(sha256, asked), network_input + 1)
    np.testing.assert_array_equal(store.network_input(sha256, made), network_input)
    for _ in range(2):
        store.discard_network_input(sha256, asked)
    assert not store.has_network_input(sha256, made)


def exchange(paths: list[Path]) -> None:
    swap(*paths)


def flip(paths: list[Path]) -> None:
    for path in paths:
        flip_a_bit(path)


def cut_the_seal(paths: list[Path]) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[: 224 * 224])


@pytest.mark.parametrize("damage", [exchange, flip, cut_the_seal])
def test_damaged_network_input_is_discarded_and_made_again(
    store: FileStore, damage: Callable[[list[Path]], None]
) -> None:
    names, preprocessing = ("ab" * 32, "cd" * 32), "1"
    inputs = [np.full((224, 224), number, np.uint8) for number in range(2)]
    for sha256, network_input in zip(names, inputs, strict=True):
        store.put_network_input(sha256, preprocessing, network_input)
    damage([path for sha256 in names for path in store.paths("inputs", sha256)])
    for sha256, network_input in zip(names, inputs, strict=True):
        with pytest.raises(DamagedFileError):
            store.network_input(sha256, preprocessing)
        assert not store.has_network_input(sha256, preprocessing)
        assert not store.renew_network_input(sha256, preprocessing)
        store.put_network_input(sha256, preprocessing, network_input)
        np.testing.assert_array_equal(store.network_input(sha256, preprocessing), network_input)


def test_damaged_network_input_is_not_renewed(store: FileStore) -> None:
    store.put_network_input("ab" * 32, "1", np.zeros((224, 224), np.uint8))
    assert store.renew_network_input("ab" * 32, "1")
    flip(store.paths("inputs", "ab" * 32))
    assert not store.renew_network_input("ab" * 32, "1")


def test_network_input_of_another_preprocessing_is_damaged(store: FileStore) -> None:
    store.put_network_input("ab" * 32, "1", np.zeros((224, 224), np.uint8))
    (store.root / "inputs" / "1").rename(store.root / "inputs" / "2")
    with pytest.raises(DamagedFileError):
        store.network_input("ab" * 32, "2")


def test_damaged_files_are_written_over_while_a_backup_is_made(store: FileStore) -> None:
    stored = store.put_bytes(CONTENT)
    store.put_network_input(stored.sha256, "1", np.zeros((224, 224), np.uint8))
    flip([*store.paths("stored", stored.sha256), *store.paths("inputs", stored.sha256)])
    with hold_deletions(store.root):
        with pytest.raises(DamagedFileError):
            store.network_input(stored.sha256, "1")
        assert store.has_network_input(stored.sha256, "1"), "a backup may be copying it"
        store.put_network_input(stored.sha256, "1", np.zeros((224, 224), np.uint8))
        store.put_bytes(CONTENT)
    assert store.renew_network_input(stored.sha256, "1")
    assert store.checked_path(stored.sha256).read_bytes() == CONTENT


def test_checked_path_refuses_what_its_name_does_not_say(store: FileStore) -> None:
    areas: tuple[BlobArea, ...] = ("incoming", "stored")
    for area in areas:
        stored = store.put_bytes(CONTENT, area=area)
        assert store.checked_path(stored.sha256, area=area) == store.path(stored.sha256, area=area)
        flip([store.path(stored.sha256, area=area)])
        with pytest.raises(DamagedFileError, match=f"{area}/{stored.sha256[:12]} is damaged"):
            store.checked_path(stored.sha256, area=area)


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
