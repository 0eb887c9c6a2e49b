import threading
from pathlib import Path

import pytest

from models.file_lock import LockedError, file_lock, is_locked


def test_file_lock_is_held_by_one_unless_shared(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with file_lock(path):
        assert is_locked(path)
        for shared in (False, True):
            with pytest.raises(LockedError), file_lock(path, shared=shared):
                pass
    with file_lock(path, shared=True), file_lock(path, shared=True):
        assert not is_locked(path)
        with pytest.raises(LockedError), file_lock(path, timeout_s=0.05):
            pass


def test_file_lock_waits_and_follows_a_deleted_file(tmp_path: Path) -> None:
    path, held = tmp_path / "lock", threading.Event()

    def wait() -> None:
        with file_lock(path, timeout_s=None):
            held.set()
            assert is_locked(path)

    with file_lock(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not held.wait(0.1)
        path.unlink()
    waiting.join(timeout=20)
    assert held.is_set()
