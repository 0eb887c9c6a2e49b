"""Store files that arrived and write their rows.

bytes -> FileStore (durable) -> one short transaction for some hundred rows -> commit -> nudge

The members of a zip become files of the job, each accepted or refused on its own.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby, takewhile
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from werkzeug.datastructures import FileStorage

from models.context import AppContext
from models.files.store import FileTooLargeError, Stored
from models.intake.images import NewImage, add_images, wanted_uploads
from models.intake.jobs import require_open
from models.intake.uploads import Declared, arrive
from models.reading.results import reason_sentence
from models.tables.intake import Image
from pipeline.errors import Reason, RefusalCode, RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from pipeline.files.sniff import is_junk
from pipeline.look_ahead import map_ahead
from web.http.disk import DiskFullError, check_room, noticing_full_disk
from web.http.forms import clean_file_name
from web.http.schemas import FileOut, FilesOut
from worker.enqueue import nudge_ingest

ROWS_A_TRANSACTION = 500
LISTED = 1000  # files in one answer; the job's page lists all
WRITERS = 4  # each spends most of its time waiting for the disk
SMALL = 2**20  # zip members up to this size are held in memory and stored in parallel

Task = Callable[[], NewImage]


class Arrivals:
    """Collects the files of a request and writes their rows, some hundred at a time."""

    def __init__(self, context: AppContext, job_id: str) -> None:
        self.receipt = FilesOut(files=[], ignored=[], unlisted=0)
        self._context = context
        self._job_id = job_id
        self._images: list[NewImage] = []
        self._complete: list[Declared] = []

    def add(self, image: NewImage) -> None:
        self._images.append(image)
        if len(self._images) >= ROWS_A_TRANSACTION:
            self.write()

    def complete(self, sent: Declared) -> None:
        """Mark the declaration of a file as arrived: all that the file holds was added."""
        self._complete.append(sent)

    def write(self) -> None:
        if not self._images and not self._complete:
            return
        with noticing_full_disk(), self._context.sessions.begin() as session:
            require_open(session, self._job_id)
            rows = add_images(session, job_id=self._job_id, new=self._images)
            arrive(session, job_id=self._job_id, files=self._complete)
            # Bytes that arrive again after they were read are not needed.
            read = [row.sha256 for row in rows if row.stored_sha256 or row.finished_at]
            unwanted = set(read) - wanted_uploads(session, read) - {""}
        list_files(self.receipt, rows)
        self._images, self._complete = [], []
        for sha256 in unwanted:
            self._context.store.delete(sha256, area="incoming")
        nudge_ingest(jobs=[self._job_id])


@contextmanager
def arriving(context: AppContext, job_id: str) -> Iterator[Arrivals]:
    """Files that are stored get their rows even if the disk is too full for those that follow."""
    arrivals = Arrivals(context, job_id)
    try:
        yield arrivals
    except DiskFullError:
        arrivals.write()
        raise
    arrivals.write()


def receive(context: AppContext, *, job_id: str, parts: Sequence[FileStorage]) -> FilesOut:
    """Store the parts of a form. The same file again is the row that is already there."""
    with arriving(context, job_id) as arrivals:
        for are_plain, some in groupby(parts, _is_plain):
            if are_plain:
                _receive_plain(context, arrivals, list(some))
            else:
                for part in some:
                    _receive_special(context, arrivals, part)
    return arrivals.receipt


def unpack(context: AppContext, archive: str, stream: BinaryIO) -> Iterator[NewImage]:
    """Store the members of a zip in its order. A zip refused as a whole is one refused file."""
    return store_all(_unpack(context, archive, stream))


def store(context: AppContext, file: str, stream: BinaryIO) -> NewImage:
    check_room(context)
    try:
        with noticing_full_disk():
            kept = context.store.put(stream, max_bytes=context.settings.max_file_bytes)
    except FileTooLargeError as error:
        return refuse(file, Reason(RefusalCode.TOO_LARGE, str(error)))
    return keep(file, kept)


def keep(file: str, kept: Stored) -> NewImage:
    return NewImage(file, kept.sha256, kept.size)


def refuse(file: str, reason: Reason) -> NewImage:
    # The file was not read to its end, so its hash is unknown; the row has an empty one.
    return NewImage(file, "", 0, refused=reason)


def store_all(tasks: Iterable[Task]) -> Iterator[NewImage]:
    """Run tasks a few ahead, results in order. DiskFullError comes after what could be stored."""
    full: list[DiskFullError] = []

    def attempt(task: Task) -> NewImage | None:
        try:
            return task()
        except DiskFullError as error:
            full.append(error)
            return None

    def until_full() -> Iterator[Task]:
        try:
            yield from takewhile(lambda _: not full, tasks)
        except DiskFullError as error:
            full.append(error)

    for image in map_ahead(attempt, until_full(), threads=WRITERS):
        if image is not None:
            yield image
    if full:
        raise full[0]


def list_files(receipt: FilesOut, rows: Sequence[Image]) -> None:
    room = LISTED - len(receipt.files)
    receipt.unlisted += len(rows[room:])
    for row in rows[:room]:
        reason = reason_sentence(row.file, row.reason) if row.reason else None
        receipt.files.append(
            FileOut(file=row.file, sha256=row.sha256, status=row.state.value, reason=reason)
        )


def _unpack(context: AppContext, archive: str, stream: BinaryIO) -> Iterator[Task]:
    settings = context.settings
    limits = ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )
    try:
        for member in members(stream, limits=limits):
            # The zip counts as a folder: equal names in two zips are two files.
            file = clean_file_name(f"{archive}/{member.name}")
            yield _store_member(context, file, member)
    except RefusedError as refusal:
        yield partial(refuse, archive, refusal.reason)


def _store_member(context: AppContext, file: str, member: Member) -> Task:
    """A member must be read before the next one is asked for."""
    try:
        with member.open() as stream:
            if member.size > SMALL:
                stored = store(context, file, stream)
                return lambda: stored
            content = io.BytesIO(stream.read(SMALL + 1))
    except RefusedError as refusal:
        return partial(refuse, file, refusal.reason)
    return partial(store, context, file, content)


def _receive_plain(context: AppContext, arrivals: Arrivals, parts: Sequence[FileStorage]) -> None:
    for image in store_all(partial(store, context, _name(p), _stream(p)) for p in parts):
        arrivals.add(image)
        if not image.refused:
            arrivals.complete(Declared(image.file, image.size, image.sha256))
    for part in parts:
        if _size(part) > context.settings.max_file_bytes:
            arrivals.complete(_declaration(part))
        part.close()  # the copy that the parser spooled


def _receive_special(context: AppContext, arrivals: Arrivals, part: FileStorage) -> None:
    if is_junk(_name(part)):
        arrivals.receipt.ignored.append(_name(part))
    else:
        for image in unpack(context, _name(part), _stream(part)):
            arrivals.add(image)
    arrivals.complete(_declaration(part))
    part.close()


def _is_plain(part: FileStorage) -> bool:
    head = _stream(part).read(4)
    _stream(part).seek(0)
    return not is_junk(_name(part)) and not is_archive(head)


def _declaration(part: FileStorage) -> Declared:
    """The declaration that matches this part."""
    size, stream = _size(part), cast(SpooledTemporaryFile[bytes], part.stream)
    stream.seek(0)
    return Declared(_name(part), size, hashlib.file_digest(stream, "sha256").hexdigest())


def _size(part: FileStorage) -> int:
    return _stream(part).seek(0, os.SEEK_END)


def _name(part: FileStorage) -> str:
    return clean_file_name(part.filename or "")


def _stream(part: FileStorage) -> BinaryIO:
    return cast(BinaryIO, part.stream)
