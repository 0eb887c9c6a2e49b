"""Files through a decoder pool, held to the time and memory that a hostile one may take."""

from pathlib import Path

import psutil

from pipeline.errors import RefusedError
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prepared

WITHIN_S = 10.0
RESIDENT_BYTES = 10**9


def most_memory(pool: DecoderPool) -> int:
    """The most bytes that its first decoder ever held (proc(5), VmHWM)."""
    status = Path(f"/proc/{pool.process_ids()[0]}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])


def seconds_of(pool: DecoderPool) -> float:
    """Of the processor: other tests may share the machine."""
    return float(sum(psutil.Process(pool.process_ids()[0]).cpu_times()[:2]))


def answer_to(pool: DecoderPool, path: Path) -> Prepared | RefusedError:
    """The answer of a pool of one process, which must survive it within the bounds."""
    before, began_s = pool.process_ids(), seconds_of(pool)
    (answer,) = pool.prepare_all([path])
    assert pool.process_ids() == before, f"{path.name} killed its decoder"
    assert seconds_of(pool) - began_s < WITHIN_S, path.name
    assert most_memory(pool) < RESIDENT_BYTES, path.name
    return answer
