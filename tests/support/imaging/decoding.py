"""Prepares files in a decoder pool and checks time and memory."""

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


def answer_to(pool: DecoderPool, path: Path) -> Prepared | RefusedError:
    """Return the answer of a pool of one process, which must survive within the limits."""
    before, began_s = pool.process_ids(), seconds_of(pool)
    (answer,) = pool.prepare_all([path])
    assert pool.process_ids() == before, f"{path.name} killed its decoder"
    assert seconds_of(pool) - began_s < WITHIN_S, path.name
    assert most_memory(pool) < RESIDENT_BYTES, path.name
    return answer
