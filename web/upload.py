"""Files on their way in: from the parts of a request to rows in the database.

parts -> FileStore (bytes are safe) -> one short transaction (rows) -> commit -> nudge
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, cast

from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from models.file_store import FileTooLargeError, Stored
from models.images import add_image, add_rejected, awaited
from models.results import reason_sentence
from models.tables import Image
from pipeline.archive import ArchiveLimits, Member, is_archive, members
from pipeline.errors import RefusedError
from pipeline.junk import is_junk
from web.file_names import clean_file_name
from web.schemas import FileOut
from web.services import Services
from worker.enqueue import nudge_ingest

ROWS_A_TRANSACTION = 500


@dataclass(frozen=True)
class Arrival:
    """A file whose bytes are safe, or the clause that says why they are not wanted."""

    file: str
    stored: Stored
    refused: str | None = None


@dataclass
class Receipt:
    files: list[FileOut] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def receive(services: Services, *, job_id: str, parts: Iterable[FileStorage]) -> Receipt:
    """Rows for all parts; a zip's members count as parts. The same file again is the same row."""
    receipt = Receipt()
    arrivals = _store_all(services, parts, receipt.ignored)
    while chunk := list(islice(arrivals, ROWS_A_TRANSACTION)):
        receipt.files.extend(_record(services, job_id, chunk))
        nudge_ingest(job_id=job_id)
    return receipt


def _store_all(
    services: Services, parts: Iterable[FileStorage], ignored: list[str]
) -> Iterator[Arrival]:
    for part in parts:
        file, stream = clean_file_name(part.filename or ""), cast(BinaryIO, part.stream)
        if is_junk(file):
            ignored.append(file)
        elif _is_zip(stream):
            yield from _unpack(services, file, stream)
        else:
            yield _store(services, file, stream)
        # The copy that the parser spooled; the next part may be as large.
        part.close()


def _unpack(services: Services, archive: str, stream: BinaryIO) -> Iterator[Arrival]:
    try:
        for member in members(stream, limits=_limits(services)):
            # The zip is a folder like any other: equal names in two zips are two files.
            file = clean_file_name(f"{archive}/{member.name}")
            yield _unpack_one(services, file, member)
    except RefusedError as refusal:
        yield _refuse(archive, str(refusal))


def _unpack_one(services: Services, file: str, member: Member) -> Arrival:
    try:
        with member.open() as stream:
            return _store(services, file, stream)
    except RefusedError as refusal:
        return _refuse(file, str(refusal))


def _limits(services: Services) -> ArchiveLimits:
    settings = services.settings
    return ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )


def _store(services: Services, file: str, stream: BinaryIO) -> Arrival:
    try:
        stored = services.store.put(stream, max_bytes=services.settings.max_file_bytes)
    except FileTooLargeError as error:
        return _refuse(file, str(error))
    return Arrival(file, stored)


def _refuse(file: str, reason: str) -> Arrival:
    # Nobody read the content to its end, so it has no hash; the row has an empty one.
    return Arrival(file, Stored(sha256="", size=0), reason)


def _record(services: Services, job_id: str, arrivals: list[Arrival]) -> list[FileOut]:
    with services.sessions.begin() as session:
        rows = [(arrival, _add(session, job_id, arrival)) for arrival in arrivals]
        # Bytes that came again after they were read: nobody waits for them, so they must not stay.
        read = [row.sha256 for _, row in rows if row.stored_sha256 or row.finished_at]
        unwanted = set(read) - awaited(session, read)
        files = [_describe(row) for _, row in rows]
    for sha256 in unwanted - {""}:
        services.store.delete(sha256, area="incoming")
    return files


def _add(session: Session, job_id: str, arrival: Arrival) -> Image:
    if arrival.refused is None:
        return add_image(session, job_id=job_id, file=arrival.file, stored=arrival.stored)
    kept = arrival.stored
    return add_rejected(
        session,
        job_id=job_id,
        file=arrival.file,
        sha256=kept.sha256,
        size=kept.size,
        reason=arrival.refused,
    )


def _describe(row: Image) -> FileOut:
    reason = reason_sentence(row.file, row.reason) if row.reason else None
    return FileOut(file=row.file, sha256=row.sha256, status=row.state.value, reason=reason)


def _is_zip(stream: BinaryIO) -> bool:
    head = stream.read(4)
    stream.seek(0)
    return is_archive(head)
