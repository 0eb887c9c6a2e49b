"""Runs `overread submit` until it succeeds, as a user would."""

import subprocess
import threading
import time
from pathlib import Path

from tests.support.servers.service import OVERREAD, environment

PAUSE_S = 0.5  # a user would take longer


class Sender:
    """starts: how often the command was started. Ends when it exits with 0."""

    def __init__(self, folder: Path, *, data_dir: Path, log: Path) -> None:
        self.starts = 0
        self._began = time.monotonic()
        self._ended: float | None = None
        self._folder, self._data_dir, self._log = folder, data_dir, log
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    @property
    def is_sending(self) -> bool:
        return self._ended is None

    @property
    def took_s(self) -> float:
        return (self._ended or time.monotonic()) - self._began

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        self._is_stopping = True
        self.kill()
        self._thread.join(timeout=10)

    def _repeat(self) -> None:
        while not self._is_stopping:
            if self._submit() == 0:
                self._ended = time.monotonic()
                return
            time.sleep(PAUSE_S)

    def _submit(self) -> int:
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*OVERREAD, "submit", str(self._folder)],
                env=environment(self._data_dir),
                stdout=log,
                stderr=log,
            )
        return self._process.wait()
