"""A TCP proxy in front of the portal that stalls after a number of bytes until it is released."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

PIECE = 2**16


class StallingProxy:
    """after: bytes passed on to the portal before it stalls. Answers are always passed on."""

    def __init__(self, url: str, *, after: int) -> None:
        portal = urlsplit(url)
        self._portal = (portal.hostname, portal.port)
        self._left, self._counting, self._released = after, threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._listener.close()

    def release(self) -> None:
        self._released.set()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._portal) as portal:
            answers = threading.Thread(target=self._forward, args=(portal, client), daemon=True)
            answers.start()
            self._forward(client, portal, may_stall=True)
            answers.join()

    def _forward(
        self, source: socket.socket, target: socket.socket, *, may_stall: bool = False
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if may_stall:
                    self._stall(len(piece))
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _stall(self, size: int) -> None:
        with self._counting:
            self._left -= size
            is_over = self._left < 0
        if is_over:
            self._released.wait()
