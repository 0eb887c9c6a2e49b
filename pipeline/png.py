"""The chunks of a PNG stream (PNG specification, section 5)."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import RefusedError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Chunk:
    """`content[start:end]`, length and checksum included; the payload lies 8 to 4 bytes inside."""

    kind: bytes
    start: int
    end: int


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to and with IEND. Raises RefusedError where the stream is damaged.

    The decoder trusts the checksums of pixel chunks; we do not.
    """
    position = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        length = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(content):
            raise RefusedError("the PNG data are cut short: no end chunk")
        checksum = int.from_bytes(content[end - 4 : end], "big")
        if zlib.crc32(memoryview(content)[position + 4 : end - 4]) != checksum:
            raise RefusedError("the PNG data are damaged: a checksum does not match")
        yield Chunk(kind, position, end)
        position = end


def check_png(content: bytes) -> None:
    """Raise RefusedError if the stream is cut short or damaged."""
    for _ in chunks(content):
        pass
