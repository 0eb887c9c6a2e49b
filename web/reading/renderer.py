"""Draws pictures in contained decoders, each once however many ask for it.

A request waits a moment for its picture, as long as few others wait. The drawing goes on without
it, so that whoever asks again finds the picture on disk. No file of a sender is decoded in the
portal.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.config.settings import Settings
from models.files.pictures import Pictures, picture_name
from models.files.store import FileStore
from models.slots import BusyError, Slots
from pipeline.errors import DamagedFileError, RefusedError
from pipeline.limits import Limits
from pipeline.prepare.pool import DecoderPool

log = logging.getLogger(__name__)

WAITING = Slots("pictures", 6)
WAIT_S = 2.0
MOST_QUEUED = 64
MOST_OF_A_USER = 8  # so that nobody waits for one who opens a hundred studies
IDLE_S = 300.0  # then the decoders end
FAILURE_LASTS_S = 30.0  # for those who ask again after they were told to wait


class Decoder(Protocol):
    def display(
        self, path: Path, heatmap: NDArray[np.float32] | None, *, orientation: int
    ) -> bytes | RefusedError: ...


@dataclass
class Task:
    """One picture to draw. heatmap: of an overlay. orientation: of the stored image, to be drawn
    upright. failed_at: on the monotonic clock.
    """

    stored_sha256: str
    heatmap: NDArray[np.float32] | None
    orientation: int
    user_id: int
    picture: Future[bytes] = field(default_factory=Future)
    failed_at: float | None = None

    @property
    def name(self) -> str:
        return picture_name(self.stored_sha256, self.heatmap, orientation=self.orientation)


class Renderer:
    def __init__(
        self,
        settings: Settings,
        store: FileStore,
        *,
        open_decoder: Callable[[Settings], AbstractContextManager[Decoder]],
    ) -> None:
        self._settings, self._store, self._open_decoder = settings, store, open_decoder
        self.pictures = Pictures(
            store,
            max_bytes=settings.picture_cache_bytes,
            reserve_bytes=settings.disk_reserve_bytes,
        )
        self._lock = Lock()
        self._queue: SimpleQueue[Task] = SimpleQueue()
        self._tasks: dict[str, Task] = {}  # unfinished, or failed lately; by the picture's name
        self._threads = 0

    def draw(
        self,
        stored_sha256: str,
        heatmap: NDArray[np.float32] | None,
        *,
        orientation: int = 0,
        user_id: int,
    ) -> bytes:
        """Return a PNG, which is on disk too.

        Raises BusyError where it is not there in time, DamagedFileError, FileNotFoundError,
        DecoderError.
        """
        task = self._enqueue(Task(stored_sha256, heatmap, orientation, user_id))
        with WAITING.take():
            try:
                return task.picture.result(timeout=WAIT_S)
            except TimeoutError:
                raise BusyError("pictures") from None

    def _enqueue(self, task: Task) -> Task:
        """Return the task that draws this picture: this one, or an earlier one."""
        with self._lock:
            self._forget_failures()
            if earlier := self._tasks.get(task.name):
                return earlier
            queued = Counter(one.user_id for one in self._tasks.values() if one.failed_at is None)
            if queued.total() >= MOST_QUEUED or queued[task.user_id] >= MOST_OF_A_USER:
                raise BusyError("pictures")
            self._tasks[task.name] = task
            self._queue.put(task)
            if self._threads < min(self._settings.render_processes, queued.total() + 1):
                self._threads += 1
                Thread(target=self._work, name="renderer", daemon=True).start()
            return task

    def _forget_failures(self) -> None:
        moment = time.monotonic() - FAILURE_LASTS_S
        for name, task in list(self._tasks.items()):
            if task.failed_at is not None and task.failed_at < moment:
                del self._tasks[name]

    def _work(self) -> None:
        """Draw until there is nothing to draw for a while, with a decoder of this thread's own."""
        with ExitStack() as stack:
            decoder: Decoder | None = None
            while task := self._next_task():
                try:
                    decoder = decoder or stack.enter_context(self._open_decoder(self._settings))
                    png = self._draw(task, decoder)
                except Exception as error:
                    task.failed_at = time.monotonic()
                    task.picture.set_exception(error)
                else:
                    with self._lock:
                        del self._tasks[task.name]
                    task.picture.set_result(png)

    def _next_task(self) -> Task | None:
        while True:
            try:
                return self._queue.get(timeout=IDLE_S)
            except Empty:
                with self._lock:
                    if self._queue.empty():
                        self._threads -= 1
                        return None

    def _draw(self, task: Task, decoder: Decoder) -> bytes:
        if found := self.pictures.open(task.name):  # drawn since the request looked for it
            with found.file:
                return found.file.read()
        path = self._store.checked_path(task.stored_sha256)
        png = decoder.display(path, task.heatmap, orientation=task.orientation)
        if isinstance(png, RefusedError):
            raise DamagedFileError(str(png))
        try:
            self.pictures.put(task.name, png)
        except OSError as error:
            log.warning("a picture was not kept: %s", error.strerror)
        return png


def open_decoder(settings: Settings) -> DecoderPool:
    limits = Limits(max_bytes=settings.max_file_bytes)
    return DecoderPool(processes=1, timeout_s=settings.decode_timeout_s, limits=limits)
