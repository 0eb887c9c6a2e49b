"""gunicorn's threaded worker, protected against slow clients, and its log.

gunicorn waits for a client without limit in one of a few threads, so a few slow connections would
block the portal. Here each request has a budget of waiting time, which grows with the bytes that
are transferred and shrinks when many threads wait. Against thousands of connections, use a proxy
that buffers requests. Health checks have threads of their own, so they answer even if all others
are busy.

gunicorn's log lines get the portal's format. Access lines are off, and requests are not quoted:
addresses and headers may contain names, searches and login links.
"""

import errno
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from models.config.logs import set_up_logging
from models.config.settings import Settings, SettingsError
from pipeline.errors import PipelineError

PATIENCE_S = 10.0  # of waiting for a request's first bytes
LONGEST_S = 60.0  # of waiting at a time, during an upload
IN_A_CROWD_S = 1.0  # instead of PATIENCE_S when many threads wait
CROWD = 16  # half of the threads (cli/service/processes.py)
LOOK_AGAIN_S = 0.25
BLOCK = 64 * 1024
# Whole, and without a body that its thread would wait for.
HEALTH_CHECK = re.compile(
    rb"(?!.*\r\n(?:content-length|transfer-encoding) *:)"
    rb"(?:get|head) /(healthz|readyz|health)[ ?].*\r\n\r\n",
    re.DOTALL | re.IGNORECASE,
)
SWITCH_INTERVAL_S = 0.001  # instead of 0.005
LONGEST_CHECK = 4096  # bytes of such a request


class Crowd:
    """Counts the threads that wait for a client."""

    def __init__(self) -> None:
        self._waiting = 0
        self._lock = Lock()

    @property
    def is_there(self) -> bool:
        return self._waiting >= CROWD

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1


crowd = Crowd()


class PacedSocket(socket.socket):
    """A socket that limits the time spent waiting for its client."""

    slowest = 2_000  # bytes a second
    is_given_up = False
    _left_s = PATIENCE_S

    def begin(self) -> None:
        """A new request."""
        self._left_s = PATIENCE_S

    def setblocking(self, flag: bool) -> None:
        """gunicorn calls it once more after closing."""
        if self.fileno() != -1:
            super().setblocking(flag)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._wait_for(select.POLLIN)
        data = super().recv(size, flags)
        self._moved(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data)
        while rest:
            self._wait_for(select.POLLOUT)
            # Send what fits into the buffer; waiting for the rest is counted here.
            sent = super().send(rest[:BLOCK], flags | socket.MSG_DONTWAIT)
            self._moved(sent)
            rest = rest[sent:]

    def _wait_for(self, event: int) -> None:
        """Wait within the remaining budget and gunicorn's own timeout."""
        client = select.poll()
        client.register(self, event)
        if client.poll(0):
            return
        given, began = self.gettimeout(), time.monotonic()
        try:
            with crowd.one_more():
                while (left_s := self._patience(given) - (time.monotonic() - began)) > 0:
                    if client.poll(1000 * min(left_s, LOOK_AGAIN_S)):
                        return
        finally:
            waited_s = time.monotonic() - began
            self._left_s = max(self._left_s - waited_s, 0.001)
        if given is not None and waited_s >= given:
            raise TimeoutError
        self.is_given_up = True
        # gunicorn ignores a reset connection without logging it.
        raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")

    def _patience(self, given: float | None) -> float:
        left_s = self._left_s - (PATIENCE_S - IN_A_CROWD_S if crowd.is_there else 0.0)
        return left_s if given is None else min(given, left_s)

    def _moved(self, size: int) -> None:
        self._left_s = min(self._left_s + size / self.slowest, LONGEST_S)


class PortalWorker(ThreadWorker):  # type: ignore[misc]
    def load_wsgi(self) -> None:
        """A portal that must not start says why in one line, and gunicorn ends."""
        try:
            super().load_wsgi()
        except (SettingsError, PipelineError) as error:
            raise AppImportError(str(error)) from None

    def init_process(self) -> None:
        # A health check waits for its turn among all threads, several times.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # Liveness asks nobody; readiness may have to wait for the database.
        liveness, readiness = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.checks = {b"healthz": liveness, b"readyz": readiness, b"health": readiness}
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        head = _arrived(conn.sock)
        if head is None and not conn.initialized:  # wait without a thread
            nothing: Future[Any] = Future()
            nothing.set_result(_DEFER)
            self.finish_request(conn, nothing)
            return
        check = HEALTH_CHECK.fullmatch(head or b"")
        threads = self.checks[check[1].lower()] if check else self.tpool
        threads.submit(self.handle, conn, lingers=check is None).add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )

    def handle(self, conn: TConn, *, lingers: bool = True) -> Any:
        """lingers: wait at the end for what the client still sends; a check was read whole."""
        if not isinstance(conn.sock, PacedSocket):
            conn.sock = PacedSocket(fileno=conn.sock.detach())
        conn.sock.begin()
        kept = super().handle(conn)
        if kept is False:
            # Close here: gunicorn would wait for the client in its main thread.
            conn.close(graceful=lingers and not conn.sock.is_given_up)
        return kept


def _arrived(connection: socket.socket) -> bytes | None:
    """The first bytes, which stay to be read; None if there are none yet."""
    try:
        # Not that of PacedSocket, which waits.
        return socket.socket.recv(connection, LONGEST_CHECK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # the thread that reads it handles the error


class PortalLogger(Logger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        set_up_logging(Settings.read(), process="portal")
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith("Invalid request"):
            msg, args = "an invalid request was refused", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """For requests log the type and place, never the text; a failed start is logged in full."""
        if not str(msg).startswith("Error handling"):
            super().exception(msg, *args, **kwargs)
            return
        kind, _, trace = sys.exc_info()
        name = kind.__name__ if kind else "nothing"
        words = str(msg).partition("%")[0].strip()
        self.error_log.error("%s: %s", words, name, exc_info=(Exception, Exception(name), trace))
