"""What a decoder process and its pool say to each other.

A module of its own: the process runs `decoder_process` as its main module, and what is pickled
there by that name would not be found on the other side.
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
class Stumble:
    """Our fault, not the file's. trace: places in the code, without any value."""

    trace: str


Answer = Prepared | RefusedError | Stumble
