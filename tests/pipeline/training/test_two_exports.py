"""Two processes that write the same version at once."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.inference.version_folder import (
    BASELINE,
    verify_checksums,
    write_folder,
)


def copy_baseline(partial: Path) -> None:
    shutil.copytree(BASELINE, partial, dirs_exist_ok=True)


def test_first_of_two_exports_wins_and_the_other_leaves_nothing(tmp_path: Path) -> None:
    both_begun = threading.Barrier(2, timeout=20)
    first_ended = threading.Event()

    def fill_first(partial: Path) -> None:
        both_begun.wait()
        copy_baseline(partial)

    def fill_second(partial: Path) -> None:
        copy_baseline(partial)
        (partial / "card.json").write_text("another's")
        both_begun.wait()
        assert first_ended.wait(timeout=20)

    version = tmp_path / "night-1"
    with ThreadPoolExecutor() as threads:
        second = threads.submit(write_folder, version, fill=fill_second)
        write_folder(version, fill=fill_first)
        first_ended.set()
        assert isinstance(second.exception(), FileExistsError)
    verify_checksums(version)
    assert (version / "card.json").read_bytes() == (BASELINE / "card.json").read_bytes()
    assert list(tmp_path.iterdir()) == [version]
