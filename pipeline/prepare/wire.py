"""How the pool and a decoder process talk: JSON, then the bytes that it announces.

A frame is a length (4 bytes, big endian), JSON of that length, and raw bytes without a length of
their own. Whoever receives states how many bytes it takes; nothing is ever unpickled.
"""

import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Final

from pipeline.errors import PipelineError

MAX_JSON_BYTES: Final = 2**17
MAX_TEXT: Final = 500  # characters of a sentence
MAX_WARNINGS: Final = 32  # of one file
MAX_TRACE: Final = 2000  # of where an error was raised
_LENGTH: Final = struct.Struct("!I")


class WireError(PipelineError):
    """What was received is not what may be sent. Says why, without any value."""


class Channel:
    """One end of a connected stream socket (unix(7)).

    deadline: by `time.monotonic`, for whatever is sent and received; TimeoutError is raised after
    it. Raises EOFError or OSError when the other end has gone.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.deadline: float | None = None

    def send(
        self,
        message: Mapping[str, Any],
        *bodies: bytes | memoryview,
        descriptor: int | None = None,
    ) -> None:
        head = json.dumps(message).encode()
        head = _LENGTH.pack(len(head)) + head
        self._bound()
        if descriptor is not None:
            sent = socket.send_fds(self._socket, [head], [descriptor])
            head = head[sent:]
        self._socket.sendall(head)
        for body in bodies:
            self._socket.sendall(body)

    def receive(self) -> bytes:
        """Return JSON, not parsed yet. Raises WireError if it is too long."""
        return self._after_length(bytes(self.receive_bytes(_LENGTH.size)))

    def receive_with_descriptor(self) -> tuple[bytes, int]:
        """Return JSON and the descriptor that was sent with it."""
        length, descriptors, _, _ = socket.recv_fds(self._socket, _LENGTH.size, 1)
        if not length:
            raise EOFError
        return self._after_length(length), descriptors[0]

    def receive_bytes(self, size: int) -> bytearray:
        received = bytearray(size)
        rest = memoryview(received)
        while rest:
            self._bound()
            count = self._socket.recv_into(rest)
            if not count:
                raise EOFError
            rest = rest[count:]
        return received

    def close(self) -> None:
        self._socket.close()

    def _after_length(self, length: bytes) -> bytes:
        (size,) = _LENGTH.unpack(length)
        if size > MAX_JSON_BYTES:
            raise WireError("message too long")
        return bytes(self.receive_bytes(size))

    def _bound(self) -> None:
        if self.deadline is not None:
            self._socket.settimeout(max(self.deadline - time.monotonic(), 0.001))


def read_exactly(descriptor: int, size: int) -> bytes:
    """Return the first `size` bytes of a file, fewer if it has become shorter."""
    parts = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
