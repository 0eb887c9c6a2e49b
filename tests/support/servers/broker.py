"""The private broker for tests, which have no supervisor."""

import subprocess
from pathlib import Path

from tests.support.servers.service import wait_until
from worker.embedded_broker import is_answering, prepare_broker


class EmbeddedBroker:
    """A running server. After `kill` and `start` it has the same address and no messages."""

    def __init__(self, folder: Path, *, password: str, port: int | None = None) -> None:
        self.program = prepare_broker(folder, password=password, port=port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.program.url

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.program.command,
            cwd=self.program.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        with self._process.stdin as pipe:
            pipe.write(self.program.configuration.encode())
        wait_until(lambda: is_answering(self.url), within_s=10, what="an answer of the broker")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
