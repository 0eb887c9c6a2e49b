"""Sends what was declared and has not arrived, a few batches at a time.

One batch on its way: a few small files in one request, or a large one in chunks.

Every content is compared with its declaration: a small file's before it leaves, a large one's by
the service, at its last byte.

A few threads that do one thing after the other, and die with the command.

An executor's threads are waited for at the end, and one that waits for a large zip to be unpacked
would keep Ctrl-C from ending the command for minutes.
"""

import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Generic, TypeVar

from cli.api.client import Client
from cli.api.errors import CONFLICT, Refused, WrongOffsetError
from cli.errors import Failed
from cli.output import sha256_of
from cli.progress import Progress
from cli.submit.upload_state import Journal, Upload

SMALL = 8 * 2**20  # bytes; what is larger can be gone on with in its middle
CHUNK = 8 * 2**20
# Written into forms in ways that not every reader undoes alike: such a file goes by its number.
ODD_IN_FORMS = re.compile(r'["%\\]')
MISMATCH = 422  # all bytes have arrived and are not those that were declared


@dataclass
class Outcome:
    """What became of a batch. troubles: why a file cannot be sent."""

    arrived: list[Upload] = field(default_factory=list)
    troubles: list[tuple[Upload, str]] = field(default_factory=list)


def goes_alone(upload: Upload) -> bool:
    """In chunks, not in a form with others."""
    return upload.size > SMALL or ODD_IN_FORMS.search(upload.file) is not None


class _ChangedError(Exception):
    def __str__(self) -> str:
        return "has changed since it was declared"


TROUBLES = (OSError, _ChangedError, Refused)


class Delivery:
    """count: is told, from whichever thread, how many more bytes are safe."""

    def __init__(self, client: Client, job_id: str, *, count: Callable[[int], None]) -> None:
        self._client, self._job_id, self._count = client, job_id, count

    def send(self, batch: list[Upload]) -> Outcome:
        if len(batch) == 1:
            return self._send_singly(batch)
        try:
            self._send_whole(batch)
        except TROUBLES:
            # One of them cannot be sent: find out which, and send the others.
            return self._send_singly(batch)
        return Outcome(arrived=batch)

    def _send_singly(self, batch: list[Upload]) -> Outcome:
        outcome = Outcome()
        for upload in batch:
            try:
                if goes_alone(upload):
                    self._send_in_chunks(upload)
                else:
                    self._send_whole([upload])
            except TROUBLES as trouble:
                outcome.troubles.append((upload, _cause(trouble)))
            else:
                outcome.arrived.append(upload)
        return outcome

    def _send_whole(self, batch: list[Upload]) -> None:
        contents = [(upload.file, _content(upload)) for upload in batch]
        self._client.send_files(self._job_id, contents)
        self._count(sum(upload.size for upload in batch))

    def _send_in_chunks(self, upload: Upload) -> None:
        try:
            self._send_from(upload.received, upload)
        except Refused as refusal:
            if refusal.status != MISMATCH:
                raise
            if sha256_of(upload.path) != upload.sha256:
                raise _ChangedError from None
            # What lay there, perhaps from before a crash, was damaged.
            self._send_from(0, upload)

    def _send_from(self, offset: int, upload: Upload) -> None:
        with upload.path.open("rb") as file:
            has_arrived = False
            while not has_arrived:
                received, has_arrived = self._send_chunk(upload, file, offset)
                self._count(received - offset)
                offset = received

    def _send_chunk(self, upload: Upload, file: BinaryIO, offset: int) -> tuple[int, bool]:
        """How many bytes the service has now, and whether that is all of it."""
        if self._client.is_stopped:
            raise Failed("stopped")
        file.seek(offset)
        chunk = file.read(min(CHUNK, upload.size - offset))
        if not chunk and offset < upload.size:
            raise _ChangedError
        try:
            answer = self._client.send_chunk(self._job_id, upload.id, chunk, offset=offset)
        except WrongOffsetError as error:
            return error.offset, False
        return int(answer["received"]), bool(answer["arrived"])


def _content(upload: Upload) -> bytes:
    with upload.path.open("rb") as file:
        content = file.read(upload.size + 1)
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        raise _ChangedError
    return content


def _cause(trouble: Exception) -> str:
    if isinstance(trouble, Refused):
        if trouble.status == CONFLICT:  # the job is closed or cancelled: for the others, too
            raise trouble
        return trouble.title
    if isinstance(trouble, OSError):
        return f"cannot be read: {trouble.strerror}"
    return str(trouble)


Given = TypeVar("Given")
Made = TypeVar("Made")


class Lanes(Generic[Given, Made]):
    def __init__(self, work: Callable[[Given], Made], *, number: int, name: str) -> None:
        self._work = work
        self._number = number
        self._tasks: queue.SimpleQueue[tuple[Given, Future[Made]]] = queue.SimpleQueue()
        for _ in range(number):
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def in_order(self, given: Iterable[Given]) -> Iterator[tuple[Given, Future[Made]]]:
        """What is under way: a few more than there are lanes are taken from `given` at a time."""
        remaining = iter(given)
        waiting = [self._submit(task) for task in islice(remaining, 2 * self._number)]
        while waiting:
            yield waiting.pop(0)
            waiting += [self._submit(task) for task in islice(remaining, 1)]

    def _submit(self, task: Given) -> tuple[Given, Future[Made]]:
        future: Future[Made] = Future()
        self._tasks.put((task, future))
        return task, future

    def _run(self) -> None:
        while True:
            task, future = self._tasks.get()
            try:
                future.set_result(self._work(task))
            except BaseException as error:
                future.set_exception(error)


BATCH_FILES = 64
BATCH_BYTES = 8 * 2**20
LANES = 2
SHOW_EVERY_S = 0.5


class Sending:
    """The second half of a submission; the first has declared everything in the journal."""

    def __init__(self, client: Client, job_id: str, *, journal: Journal, shown: Progress) -> None:
        self._client, self._journal, self._shown = client, journal, shown
        self._delivery = Delivery(client, job_id, count=self._count)
        self._totals = journal.totals()
        self._files, self._bytes = self._totals.arrived, self._totals.received_bytes
        self._counting = threading.Lock()

    def send_all(self) -> None:
        lanes = Lanes(self._delivery.send, number=LANES, name="send")
        try:
            for batch, future in lanes.in_order(_batches(self._journal.missing())):
                self._record(self._wait_for(future))
                self._files += len(batch)
            self._show()
        except BaseException:
            # What is under way in the lanes ends at its next chunk, or with the command.
            self._client.stop()
            raise

    def _wait_for(self, future: Future[Outcome]) -> Outcome:
        while not future.done():
            self._show()
            wait([future], timeout=SHOW_EVERY_S)
        return future.result()

    def _record(self, outcome: Outcome) -> None:
        self._journal.arrived([upload.id for upload in outcome.arrived])
        self._journal.troubled([(upload.id, cause) for upload, cause in outcome.troubles])

    def _show(self) -> None:
        note = f"{_megabytes(self._bytes)} of {_megabytes(self._totals.bytes)} MB"
        self._shown.show(self._files, total=self._totals.files, note=note)

    def _count(self, size: int) -> None:
        with self._counting:
            self._bytes += size


def _batches(uploads: Iterable[Upload]) -> Iterator[list[Upload]]:
    """A large file is a batch of its own, and does not wait for the small ones before it."""
    batch: list[Upload] = []
    size = 0
    for upload in uploads:
        if goes_alone(upload):
            yield [upload]
            continue
        batch.append(upload)
        size += upload.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.{0 if size >= 1e7 else 1}f}"
