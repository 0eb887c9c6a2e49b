"""Messages between a decoder process and its pool.

A module of its own, since classes pickled from the process's main module could not be found by
the pool.
"""

from dataclasses import dataclass
from typing import Final

from pipeline.errors import RefusedError
from pipeline.limits import Limits
from pipeline.types import Prepared

READY: Final = "ready"


@dataclass(frozen=True)
class DecoderSettings:
    limits: Limits
    key: bytes | None
    timeout_s: float


@dataclass(frozen=True)
class UnexpectedError:
    """A fault of the code, not of the file. trace: places in the code, without any value."""

    trace: str


Answer = Prepared | RefusedError | UnexpectedError
