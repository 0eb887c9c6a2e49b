"""Faults of files: the disk is full, or what a worker will need is gone or damaged.

Each returns what it did, None without a target.
"""

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.types import PREPROCESSING
from tests.chaos.rig import (
    WAIT_S,
    WORKS_ON,
    Rig,
    frozen,
    unclaimed,
)


def fill_disk(rig: Rig, choose: random.Random) -> str | None:
    if not rig.has_disk:
        return None
    ballast = rig.data_dir / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(2**16))
        # Held for a while; what others free in that time stays free.
        time.sleep(choose.uniform(1, 4))
    finally:
        ballast.unlink()
    return "full"


def delete_upload(rig: Rig, choose: random.Random) -> str | None:
    path = partial(rig.store.path, area="incoming")
    return _delete(rig, choose, worker="ingest", what="its upload", path=path)


def delete_input(rig: Rig, choose: random.Random) -> str | None:
    path = partial(_input_path, rig)
    return _delete(rig, choose, worker="predict", what="its network input", path=path)


def swap_input(rig: Rig, choose: random.Random) -> str | None:
    """A network input holds another image's bytes; it can be read, and is wrong."""

    def swap(waiting: list[str]) -> str | None:
        found = [path for sha256 in waiting if (path := _input_path(rig, sha256)).exists()]
        if len(found) < 2:
            return None
        target, source = choose.sample(found, 2)
        _write_over(target, source.read_bytes())
        return target.name

    return _harm(rig, "predict", swap)


def damage_upload(rig: Rig, choose: random.Random) -> str | None:
    """Its bytes rot after they were confirmed."""

    def damage(waiting: list[str]) -> str | None:
        for sha256 in choose.sample(waiting, len(waiting)):
            path = rig.store.path(sha256, area="incoming")
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                _write_over(path, content[:-1] + bytes([content[-1] ^ 0xFF]))
                rig.deleted[sha256] = "its upload, damaged"
                return sha256
        return None

    return _harm(rig, "ingest", damage)


def lose_secrets(rig: Rig, choose: random.Random) -> str:
    """No process starts without them; they come back."""
    secrets = rig.data_dir / "secrets.json"
    away = secrets.rename(secrets.with_name("secrets.away"))  # the data folder may be mounted
    try:
        rig.find(choose.choice(["ingest", "predict", "portal"])).kill()
        time.sleep(choose.uniform(1, 3))
        assert not secrets.exists(), "others were made"
    finally:
        away.rename(secrets)
    return "lost and restored"


def _delete(
    rig: Rig, choose: random.Random, *, worker: str, what: str, path: Callable[[str], Path]
) -> str | None:
    """Delete a file that this worker will need."""

    def delete_one(waiting: list[str]) -> str | None:
        sha256 = choose.choice(waiting)
        with suppress(FileNotFoundError):
            path(sha256).unlink()
            rig.deleted[sha256] = what
            return sha256
        return None

    return _harm(rig, worker, delete_one)


def _harm(rig: Rig, worker: str, change: Callable[[list[str]], str | None]) -> str | None:
    """Change a file of an image that waits for this worker, while it is frozen.

    change: given the hashes of those images, returns that of the changed file, or None.
    """
    with frozen(rig.find(worker)):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            waiting = unclaimed(rig, WORKS_ON[worker])
            if waiting and (changed := change(waiting)):
                return changed[:8]
            time.sleep(0.05)
    return None


def _input_path(rig: Rig, sha256: str) -> Path:
    return rig.store.root / "inputs" / PREPROCESSING / sha256[:2] / sha256


def _write_over(path: Path, content: bytes) -> None:
    """In place, as a disk rots; its time stays as it was."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
