"""Files that have come: first their bytes are safe, then their rows are written.

bytes -> FileStore (durable) -> one short transaction for some hundred rows -> commit -> nudge

Files of one request, as parts of a form.

A zip's members become files of the job, each with its own fate.

Names of uploaded files: kept readable, made harmless.
"""

import io
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import BinaryIO, cast

from werkzeug.datastructures import FileStorage

from models.context import AppContext
from models.files.store import FileTooLargeError, Stored, sha256_of
from models.intake.images import NewImage, add_images, wanted_uploads
from models.intake.jobs import require_open
from models.intake.uploads import Declared, arrive
from models.reading.results import reason_sentence
from models.tables.intake import Image
from pipeline.errors import Reason, RefusalCode, RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from pipeline.files.sniff import is_junk
from web.http.disk import DiskFullError, check_room, noticing_full_disk
from web.http.schemas import FileOut
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

    def __init__(self, context: AppContext, job_id: str) -> None:
        self.receipt = Receipt()
        self._services = context
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
def arriving(context: AppContext, job_id: str) -> Iterator[Arrivals]:
    """What is safe gets its row, also when the disk is too full for what follows it."""
    arrivals = Arrivals(context, job_id)
    try:
        yield arrivals
    except DiskFullError:
        arrivals.write()
        raise
    arrivals.write()


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


MAX_LENGTH = 1024
MAX_PART_LENGTH = 255
UNNAMED = "unnamed"


def clean_file_name(raw: str) -> str:
    """A relative path with "/" between its parts: no root, drive, "..", control characters."""
    parts = (_clean_part(part) for part in raw.replace("\\", "/").split("/"))
    kept = [part for part in parts if part and part not in (".", "..")]
    if kept and len(kept[0]) == 2 and kept[0][1] == ":":
        kept = kept[1:]
    # The end says most: the file's own name and the folder it lies in.
    return "/".join(kept)[-MAX_LENGTH:].lstrip("/") or UNNAMED


def _clean_part(part: str) -> str:
    # "C*": control, format (text direction can be turned by those), surrogate, unassigned.
    visible = (char for char in part if unicodedata.category(char)[0] != "C")
    return unicodedata.normalize("NFC", "".join(visible)).strip()[-MAX_PART_LENGTH:]


SMALL = 2**20  # read into memory and stored beside others; larger ones go to disk one by one


def is_zip(stream: BinaryIO) -> bool:
    head = stream.read(4)
    stream.seek(0)
    return is_archive(head)


def unpack(context: AppContext, archive: str, stream: BinaryIO) -> Iterator[NewImage]:
    """In the archive's order. One that is refused as a whole is one refused file."""
    return store_side_by_side(_tasks(context, archive, stream))


def _tasks(context: AppContext, archive: str, stream: BinaryIO) -> Iterator[Callable[[], NewImage]]:
    try:
        for member in members(stream, limits=_limits(context)):
            # The zip is a folder like any other: equal names in two zips are two files.
            file = clean_file_name(f"{archive}/{member.name}")
            yield _task(context, file, member)
    except RefusedError as refusal:
        reason = refusal.reason
        yield lambda: refuse(archive, reason)


def _task(context: AppContext, file: str, member: Member) -> Callable[[], NewImage]:
    """A member is read before the next one is asked for."""
    try:
        with member.open() as stream:
            if member.size > SMALL:
                stored = store(context, file, stream)
                return lambda: stored
            content = io.BytesIO(stream.read(SMALL + 1))
    except RefusedError as refusal:
        refused = refuse(file, refusal.reason)
        return lambda: refused
    return partial(store, context, file, content)


def _limits(context: AppContext) -> ArchiveLimits:
    settings = context.settings
    return ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )


def receive(context: AppContext, *, job_id: str, parts: Sequence[FileStorage]) -> Receipt:
    """Rows for all parts; a zip's members count as parts. The same file again is the same row."""
    with arriving(context, job_id) as arrivals:
        for are_plain, some in groupby(parts, _is_plain):
            if are_plain:
                _receive_plain(context, arrivals, list(some))
            else:
                for part in some:
                    _receive_special(context, arrivals, part)
    return arrivals.receipt


def _receive_plain(context: AppContext, arrivals: Arrivals, parts: Sequence[FileStorage]) -> None:
    for image in store_side_by_side(partial(store, context, _name(p), _stream(p)) for p in parts):
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
    return not is_junk(_name(part)) and not is_zip(_stream(part))


def _declaration(part: FileStorage) -> Declared:
    """What the sender would have declared it as."""
    size, stream = _size(part), _stream(part)
    stream.seek(0)
    return Declared(_name(part), size, sha256_of(stream))


def _size(part: FileStorage) -> int:
    return _stream(part).seek(0, os.SEEK_END)


def _name(part: FileStorage) -> str:
    return clean_file_name(part.filename or "")


def _stream(part: FileStorage) -> BinaryIO:
    return cast(BinaryIO, part.stream)
