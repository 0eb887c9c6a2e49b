"""Store files that arrived and write their rows.

bytes -> FileStore (durable) -> one short transaction for some hundred rows -> commit -> nudge

The members of a zip become files of the job, each accepted or refused on its own.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from models.config.settings import Settings
from models.context import AppContext
from models.intake.images import NewImage, add_images, wanted_uploads
from models.intake.jobs import require_open
from models.intake.uploads import Declared, arrive
from models.reading.results import reason_sentence
from models.slots import BusyError, Slots
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
SIGNATURE_BYTES = 4
ARCHIVE_SLOTS = Slots("zips to unpack", 3, waiting=2)  # a large one takes minutes


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that has arrived: its name, size and hash, and its bytes.

    path: where they lie already, durable; else they are copied from the stream.
    """

    declared: Declared
    stream: BinaryIO
    path: Path | None = None


# Returns an image, or after all images of a file its declaration.
Task = Callable[[], NewImage | Declared]


def receive(context: AppContext, *, job_id: str, sent: Iterable[SentFile]) -> FilesOut:
    """Store files, a few at a time. The same file again is the row that is already there.

    If the disk becomes full, or too many zips are being unpacked, those before are kept.
    """
    receipt = FilesOut()
    done: list[NewImage | Declared] = []
    tasks = (task for one in sent for task in _tasks(context, one, receipt))
    try:
        for one in map_ahead(lambda task: task(), tasks, threads=WRITERS):
            done.append(one)
            if len(done) >= ROWS_A_TRANSACTION:
                _write_rows(context, job_id, done, receipt)
                done = []
    except (DiskFullError, BusyError):
        _write_rows(context, job_id, done, receipt)
        raise
    _write_rows(context, job_id, done, receipt)
    return receipt


def _write_rows(
    context: AppContext, job_id: str, done: Sequence[NewImage | Declared], receipt: FilesOut
) -> None:
    if not done:
        return
    complete = [one for one in done if isinstance(one, Declared)]
    images = [one for one in done if isinstance(one, NewImage)]
    with noticing_full_disk(), context.sessions.begin() as session:
        require_open(session, job_id)
        rows = add_images(session, job_id=job_id, new=images)
        arrive(session, job_id=job_id, files=complete)
        # Bytes that arrive again after they were read are not needed.
        read = [row.sha256 for row in rows if row.stored_sha256 or row.finished_at]
        unwanted = set(read) - wanted_uploads(session, read) - {""}
    room = LISTED - len(receipt.files)
    receipt.unlisted += len(rows[room:])
    for row in rows[:room]:
        reason = reason_sentence(row.file, row.reason) if row.reason else None
        receipt.files.append(
            FileOut(file=row.file, sha256=row.sha256, status=row.state.value, reason=reason)
        )
    for sha256 in unwanted:
        context.store.delete(sha256, area="incoming")
    nudge_ingest(jobs=[job_id])


def size_limit(settings: Settings, head: bytes) -> int:
    """For files of this kind, which the first bytes tell."""
    return settings.max_archive_bytes if is_archive(head) else settings.max_file_bytes


def _tasks(context: AppContext, sent: SentFile, receipt: FilesOut) -> Iterator[Task]:
    file = sent.declared.file
    head = sent.stream.read(SIGNATURE_BYTES)
    sent.stream.seek(0)
    limit = size_limit(context.settings, head)
    if is_junk(file):
        receipt.ignored.append(file)
    elif sent.declared.size > limit:
        too_large = Reason(RefusalCode.TOO_LARGE, f"larger than {limit / 2**20:.0f} MiB")
        yield partial(_refuse, file, too_large)
    elif is_archive(head):
        yield from _unpack(context, file, sent.stream)
    elif sent.path is not None:
        yield partial(_adopt, context, sent.declared, sent.path)
    else:
        yield partial(_store, context, file, sent.stream, sent.declared.sha256)
    yield lambda: sent.declared


def _unpack(context: AppContext, archive: str, stream: BinaryIO) -> Iterator[Task]:
    """Members in the zip's order. A zip that is refused as a whole is one refused file."""
    settings = context.settings
    limits = ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )
    try:
        with ARCHIVE_SLOTS.take():
            for member in members(stream, limits=limits):
                # The zip counts as a folder: equal names in two zips are two files.
                file = clean_file_name(f"{archive}/{member.name}")
                yield _store_member(context, file, member)
    except RefusedError as refusal:
        yield partial(_refuse, archive, refusal.reason)
    except BusyError as busy:
        yield partial(_fail, busy)  # in its turn, after the files before it


def _store_member(context: AppContext, file: str, member: Member) -> Task:
    """A member must be read before the next one is asked for."""
    try:
        with member.open() as stream:
            if member.size > SMALL:
                stored = _store(context, file, stream)
                return lambda: stored
            content = io.BytesIO(stream.read(SMALL + 1))
    except RefusedError as refusal:
        return partial(_refuse, file, refusal.reason)
    except DiskFullError as full:
        return partial(_fail, full)  # in its turn, after the files before it
    return partial(_store, context, file, content)


def _store(context: AppContext, file: str, stream: BinaryIO, sha256: str = "") -> NewImage:
    check_room(context)
    with noticing_full_disk():
        stored = context.store.put(stream, sha256=sha256)
    return NewImage(file, stored.sha256, stored.size)


def _adopt(context: AppContext, declared: Declared, path: Path) -> NewImage:
    with noticing_full_disk():
        context.store.adopt(path, declared.sha256)
    return NewImage(declared.file, declared.sha256, declared.size)


def _fail(error: Exception) -> NoReturn:
    raise error


def _refuse(file: str, reason: Reason) -> NewImage:
    # The file was not read to its end, so its hash is unknown; the row has an empty one.
    return NewImage(file, "", 0, refused=reason)
