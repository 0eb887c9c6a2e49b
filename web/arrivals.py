"""Files that have come: first their bytes are safe, then their rows are written.

bytes -> FileStore (durable) -> one short transaction for some hundred rows -> commit -> nudge
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from models.files.store import FileTooLargeError, Stored
from models.intake.images import NewImage, add_images, wanted_uploads
from models.intake.jobs import require_open
from models.intake.uploads import Declared, arrive
from models.reading.results import reason_sentence
from models.tables.intake import Image
from web.disk import DiskFullError, check_room, noticing_full_disk
from web.schemas import FileOut
from web.services import Services
from worker.enqueue import nudge_ingest

ROWS_A_TRANSACTION = 500
LISTED = 1000  # files in one answer; the job's page has them all
# Waiting for the disk one by one is slow; see worker/ingest.py.
WRITERS = 4
AHEAD = 8


@dataclass
class Receipt:
    """files: the first of them; unlisted: how many more there are."""

    files: list[FileOut] = field(default_factory=list)
    unlisted: int = 0
    ignored: list[str] = field(default_factory=list)

    def add(self, files: list[FileOut]) -> None:
        room = LISTED - len(self.files)
        self.files += files[:room]
        self.unlisted += len(files[room:])


class Arrivals:
    """Gathers what came for a job and writes its rows, some hundred at a time."""

    def __init__(self, services: Services, job_id: str) -> None:
        self.receipt = Receipt()
        self._services = services
        self._job_id = job_id
        self._images: list[NewImage] = []
        self._complete: list[Declared] = []

    def add(self, image: NewImage) -> None:
        self._images.append(image)
        if len(self._images) >= ROWS_A_TRANSACTION:
            self.write()

    def complete(self, sent: Declared) -> None:
        """All that this file holds was added: a declaration of it is met."""
        self._complete.append(sent)

    def write(self) -> None:
        if not self._images and not self._complete:
            return
        with noticing_full_disk(), self._services.sessions.begin() as session:
            require_open(session, self._job_id)
            rows = add_images(session, job_id=self._job_id, new=self._images)
            arrive(session, job_id=self._job_id, files=self._complete)
            # Bytes that came again after they were read: nobody needs them, so they must not stay.
            read = [row.sha256 for row in rows if row.stored_sha256 or row.finished_at]
            unwanted = set(read) - wanted_uploads(session, read) - {""}
        self.receipt.add([describe(row) for row in rows])
        self._images, self._complete = [], []
        for sha256 in unwanted:
            self._services.store.delete(sha256, area="incoming")
        nudge_ingest(job_id=self._job_id)


@contextmanager
def arriving(services: Services, job_id: str) -> Iterator[Arrivals]:
    """What is safe gets its row, also when the disk is too full for what follows it."""
    arrivals = Arrivals(services, job_id)
    try:
        yield arrivals
    except DiskFullError:
        arrivals.write()
        raise
    arrivals.write()


def store(services: Services, file: str, stream: BinaryIO) -> NewImage:
    check_room(services)
    try:
        with noticing_full_disk():
            kept = services.store.put(stream, max_bytes=services.settings.max_file_bytes)
    except FileTooLargeError as error:
        return refuse(file, str(error))
    return keep(file, kept)


def keep(file: str, kept: Stored) -> NewImage:
    return NewImage(file, kept.sha256, kept.size)


def refuse(file: str, reason: str) -> NewImage:
    # Nobody read the content to its end, so it has no hash; the row has an empty one.
    return NewImage(file, "", 0, refused=reason)


def store_side_by_side(tasks: Iterable[Callable[[], NewImage]]) -> Iterator[NewImage]:
    """In order, a few ahead. When the disk is full, what is safe by then is still handed out."""
    ahead: deque[Future[NewImage]] = deque()
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="store") as writers:
        try:
            for task in tasks:
                ahead.append(writers.submit(task))
                if len(ahead) > AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except DiskFullError:
            yield from (one.result() for one in ahead if one.exception() is None)
            raise


def describe(row: Image) -> FileOut:
    reason = reason_sentence(row.file, row.reason) if row.reason else None
    return FileOut(file=row.file, sha256=row.sha256, status=row.state.value, reason=reason)
