"""Sends what was declared and has not arrived, a few batches at a time."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait

from cli.client import Client
from cli.delivery import Delivery, Outcome, goes_alone
from cli.journal import Journal, Upload
from cli.lanes import Lanes
from cli.progress import Progress

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
