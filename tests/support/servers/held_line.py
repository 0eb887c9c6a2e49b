"""A line between a sender and the portal that stands still after so many bytes, until let go."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

PIECE = 2**16


class HeldLine:
    """after: bytes on their way to the portal. What the portal says, and its end, come through."""

    def __init__(self, url: str, *, after: int) -> None:
        there = urlsplit(url)
        self._portal = (there.hostname, there.port)
        self._left, self._counting, self._free = after, threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who listens
        self._listener.close()

    def let_go(self) -> None:
        self._free.set()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                sender, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(sender,), daemon=True).start()

    def _connect(self, sender: socket.socket) -> None:
        with sender, suppress(OSError), socket.create_connection(self._portal) as portal:
            back = threading.Thread(target=self._carry, args=(portal, sender), daemon=True)
            back.start()
            self._carry(sender, portal, is_held=True)
            back.join()

    def _carry(
        self, source: socket.socket, target: socket.socket, *, is_held: bool = False
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if is_held:
                    self._hold(len(piece))
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _hold(self, size: int) -> None:
        with self._counting:
            self._left -= size
            is_over = self._left < 0
        if is_over:
            self._free.wait()
