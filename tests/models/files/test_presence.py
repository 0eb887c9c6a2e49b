"""A file store whose disk is not mounted is not taken for an empty one."""

import io
from pathlib import Path

import pytest

from models.files.deletion_lock import deleting, hold_deletions
from models.files.partial import PartialFiles
from models.files.pictures import Pictures, picture_name
from models.files.presence import StoreAwayError, make_store, mark_store, require_store
from models.files.store import FileStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


def test_store_that_is_away_takes_nothing_and_is_not_made_again(root: Path) -> None:
    make_store(root, holds_files=False)
    mark_store(root)
    store = FileStore(root)
    sha256 = store.put(io.BytesIO(b"an upload")).sha256
    away = root.rename(root.with_name("elsewhere"))
    for is_mount_point in (False, True):
        if is_mount_point:
            root.mkdir()
        with pytest.raises(StoreAwayError, match="is its disk mounted"):
            store.put(io.BytesIO(b"another"))
        with pytest.raises(StoreAwayError):
            store.put_bytes(b"another")
        with pytest.raises(StoreAwayError):
            Pictures(store, max_bytes=2**20).put(picture_name(sha256), b"drawn before")
        with pytest.raises(StoreAwayError), PartialFiles(store).hold(1):
            pass
        with pytest.raises(StoreAwayError), hold_deletions(root):
            pass  # a backup would lack all files
        with deleting(root) as may_delete:
            assert not may_delete
        store.delete(sha256)
        assert root.exists() == is_mount_point
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)
    store.put(io.BytesIO(b"another"))
    assert store.exists(sha256, area="incoming")


def test_store_of_an_earlier_release_that_is_away_is_not_made(root: Path) -> None:
    with pytest.raises(StoreAwayError):
        make_store(root, holds_files=True)
    assert not root.exists()
    FileStore(root).put_bytes(b"of an earlier release")
    make_store(root, holds_files=True)
    mark_store(root)
    require_store(root)
