"""gunicorn's worker with threads, in which a client that is slow keeps nobody else waiting.

gunicorn waits for a client as long as it takes, in one of a few threads: as many connections that
send one letter each would shut everybody out. Here a request has some seconds of waiting, and more
for what has come or gone meanwhile. A proxy that reads requests whole before it passes them on
helps against those who come with many connections at a time.
"""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

PATIENCE_S = 10.0  # of waiting, until a request's first bytes have come
LONGEST_S = 60.0  # of waiting at a time, in the midst of an upload
BLOCK = 64 * 1024
AT_ONCE_S = 0.05  # most clients send as soon as they are connected


class PacedSocket(socket.socket):
    """Counts the time in which it waits for the client, not that in which the portal works."""

    slowest = 2_000  # bytes a second
    _left_s = PATIENCE_S

    def begin(self) -> None:
        """A new request."""
        self._left_s = PATIENCE_S

    def setblocking(self, flag: bool) -> None:
        """gunicorn asks for it once more after the end."""
        if self.fileno() != -1:
            super().setblocking(flag)

    def recv(self, size: int, flags: int = 0) -> bytes:
        with self._waiting():
            data = super().recv(size, flags)
        self._moved(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        for start in range(0, len(data), BLOCK):
            block = memoryview(data)[start : start + BLOCK]
            with self._waiting():
                super().sendall(block, flags)
            self._moved(len(block))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """For as long as is left, or as gunicorn has set, which is put back afterwards."""
        given, began = self.gettimeout(), time.monotonic()
        self.settimeout(self._left_s if given is None else min(given, self._left_s))
        try:
            yield
        except TimeoutError:
            if given is not None:
                raise
            # As if it had gone: gunicorn passes over that without a word in the log.
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow") from None
        finally:
            self.settimeout(given)
            self._left_s = max(self._left_s - (time.monotonic() - began), 0.001)

    def _moved(self, size: int) -> None:
        self._left_s = min(self._left_s + size / self.slowest, LONGEST_S)


class PortalWorker(ThreadWorker):  # type: ignore[misc]
    def handle(self, conn: TConn) -> Any:
        if not isinstance(conn.sock, PacedSocket):
            conn.sock = PacedSocket(fileno=conn.sock.detach())
        if not (conn.initialized or conn.data_ready or conn.wait_for_data(AT_ONCE_S)):
            return _DEFER  # it waits without a thread
        conn.sock.begin()
        kept = super().handle(conn)
        if kept is False:
            # Here: gunicorn would wait for the client's farewell in the thread that serves all.
            conn.close(graceful=True)
        return kept
