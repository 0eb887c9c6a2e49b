"""Prepares files in a decoder pool and checks time and memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prepared

WITHIN_S = 10.0
RESIDENT_BYTES = 10**9


def most_memory(pool: DecoderPool) -> int:
    """Return the peak memory of its first decoder in bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{pool.process_ids()[0]}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])


def seconds_of(pool: DecoderPool) -> float:
    """CPU time, since other tests share the machine."""
    return float(sum(psutil.Process(pool.process_ids()[0]).cpu_times()[:2]))


@contextmanager
def within_limits(pool: DecoderPool, name: str) -> Iterator[None]:
    """The one process of the pool must survive, within the limits of time and memory."""
    before, began_s = pool.process_ids(), seconds_of(pool)
    yield
    assert pool.process_ids() == before, f"{name} killed its decoder"
    assert seconds_of(pool) - began_s < WITHIN_S, name
    assert most_memory(pool) < RESIDENT_BYTES, name


def answer_to(pool: DecoderPool, path: Path) -> Prepared | RefusedError:
    with within_limits(pool, path.name):
        (answer,) = pool.prepare_all([path])
    return answer
