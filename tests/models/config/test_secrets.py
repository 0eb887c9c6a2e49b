"""The installation's secrets: made once, and nobody else's to read."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from models.config.secrets import read_or_make_secrets, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_make_secrets(tmp_path / "data")
        write_private(tmp_path / "data" / "token", "x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "data") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "data").iterdir()} == {
        "secrets.json": 0o600,
        "token": 0o600,
    }


def test_concurrent_processes_create_the_same_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: read_or_make_secrets(tmp_path), range(16)))
    assert len({tuple(asdict(secrets).values()) for secrets in made}) == 1


def test_secrets_are_long_unique_and_not_in_repr(tmp_path: Path) -> None:
    first, second = (read_or_make_secrets(tmp_path / name) for name in "ab")
    for ours, theirs in zip(asdict(first).values(), asdict(second).values(), strict=True):
        assert len(ours) >= 32
        assert ours != theirs
        assert ours not in repr(first)
