"""Store files that arrived and write their rows.

bytes -> FileStore (durable) -> one short transaction for some hundred rows -> commit -> nudge

The members of a zip become files of the job, each accepted or refused on its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models.config.settings import Settings
from models.context import AppContext
from models.intake.images import NewImage, add_images, wanted_uploads
from models.intake.jobs import require_open
from models.intake.uploads import Declared, arrive
from models.reading.results import reason_sentence
from models.slots import BusyError, Slots
from pipeline.atomic_file import FileGroup
from pipeline.errors import Reason, RefusalCode, RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from pipeline.files.sniff import is_junk
from web.http.disk import DiskFullError, check_room, noticing_full_disk
from web.http.forms import clean_file_name
from web.http.schemas import FileOut, FilesOut
from worker.enqueue import nudge_ingest

ROWS_A_TRANSACTION = 500
LISTED = 1000  # files in one answer; the job's page lists all
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


def receive(context: AppContext, *, job_id: str, sent: Iterable[SentFile]) -> FilesOut:
    """Store files. The same file again is the row that is already there.

    If the disk becomes full, or too many zips are being unpacked, those before are kept.
    """
    receipt = FilesOut()
    done: list[NewImage | Declared] = []
    with context.store.group() as files:
        try:
            for file in sent:
                for one in _images(context, file, files, receipt):
                    done.append(one)
                    if len(done) >= ROWS_A_TRANSACTION:
                        _write(context, job_id, files, done, receipt)
        except (DiskFullError, BusyError):
            _write(context, job_id, files, done, receipt)
            raise
        _write(context, job_id, files, done, receipt)
    return receipt


def _write(
    context: AppContext,
    job_id: str,
    files: FileGroup,
    done: list[NewImage | Declared],
    receipt: FilesOut,
) -> None:
    """Files first, then their rows."""
    with noticing_full_disk():
        files.rename()
    _write_rows(context, job_id, done, receipt)
    done.clear()


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


def _images(
    context: AppContext, sent: SentFile, files: FileGroup, receipt: FilesOut
) -> Iterator[NewImage | Declared]:
    """Yield a file's images, then its declaration."""
    file = sent.declared.file
    head = sent.stream.read(SIGNATURE_BYTES)
    sent.stream.seek(0)
    limit = size_limit(context.settings, head)
    if is_junk(file):
        receipt.ignored.append(file)
    elif sent.declared.size > limit:
        yield _refuse(file, Reason(RefusalCode.TOO_LARGE, f"larger than {limit / 2**20:.0f} MiB"))
    elif is_archive(head):
        yield from _unpack(context, file, sent.stream, files)
    elif sent.path is not None:
        yield _adopt(context, sent.declared, sent.path, files)
    else:
        yield _store(context, file, sent.stream, files, sha256=sent.declared.sha256)
    yield sent.declared


def _unpack(
    context: AppContext, archive: str, stream: BinaryIO, files: FileGroup
) -> Iterator[NewImage]:
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
                yield _store_member(context, file, member, files)
    except RefusedError as refusal:
        yield _refuse(archive, refusal.reason)


def _store_member(context: AppContext, file: str, member: Member, files: FileGroup) -> NewImage:
    """A member must be read before the next one is asked for."""
    try:
        with member.open() as stream:
            return _store(context, file, stream, files)
    except RefusedError as refusal:
        return _refuse(file, refusal.reason)


def _store(
    context: AppContext, file: str, stream: BinaryIO, files: FileGroup, *, sha256: str = ""
) -> NewImage:
    check_room(context)
    with noticing_full_disk():
        stored = context.store.put(stream, sha256=sha256, group=files)
    return NewImage(file, stored.sha256, stored.size)


def _adopt(context: AppContext, declared: Declared, path: Path, files: FileGroup) -> NewImage:
    with noticing_full_disk():
        context.store.adopt(path, declared.sha256, group=files)
    return NewImage(declared.file, declared.sha256, declared.size)


def _refuse(file: str, reason: Reason) -> NewImage:
    # The file was not read to its end, so its hash is unknown; the row has an empty one.
    return NewImage(file, "", 0, refused=reason)
