"""Take one piece of a declared file: it counts once it is on disk; the last completes the file."""

from typing import BinaryIO

from models.context import AppContext
from models.file_lock import LockedError
from models.files.partial import PartialFile, PartialFiles
from models.intake.jobs import JobStateError, require_open
from models.intake.uploads import Declared, advance, require_uploads
from models.tables.intake import Upload
from pipeline.checksum import sha256_of
from web.http.disk import check_room, noticing_full_disk
from web.http.schemas import FilesOut
from web.intake.receive import SIGNATURE_BYTES, SentFile, receive, size_limit
from web.intake.schemas import OTHER_SHA256, PieceOut

MAX_PIECE_BYTES = 16 * 2**20


class PieceError(Exception):
    """Why a piece was refused, in a sentence. received: where the next one has to start."""

    def __init__(self, why: str, *, status: int, received: int) -> None:
        super().__init__(why)
        self.status = status
        self.received = received


def take_piece(
    context: AppContext, *, job_id: str, upload_id: int, offset: int, body: BinaryIO
) -> PieceOut:
    received = _upload(context, job_id, upload_id).received
    try:
        with PartialFiles(context.store).hold(upload_id) as partial:
            # Read again: now no other request can change it.
            upload = _upload(context, job_id, upload_id)
            return _take(context, upload, partial, offset=offset, body=body)
    except LockedError:
        why = "another request is sending this file"
        raise PieceError(why, status=409, received=received) from None


def _upload(context: AppContext, job_id: str, upload_id: int) -> Upload:
    with context.sessions() as session:
        return require_uploads(session, job_id=job_id, upload_ids=[upload_id])[0]


def _take(
    context: AppContext, upload: Upload, partial: PartialFile, *, offset: int, body: BinaryIO
) -> PieceOut:
    if upload.arrived_at is not None:  # but the client did not get the answer
        _require(offset, upload.size)
        return PieceOut(received=upload.size, arrived=True)
    try:
        received = min(upload.received, partial.size)
        if received < upload.received:  # the file on disk was deleted or cut
            _count(context, upload, received)
        _require(offset, received)
        received = _append(context, partial, at=received, size=upload.size, body=body)
        is_too_large = _is_too_large(context, upload, partial)
        if received < upload.size and not is_too_large:
            _count(context, upload, received)
            return PieceOut(received=received, arrived=False)
        receipt = _complete(context, upload, partial, is_too_large=is_too_large)
    except JobStateError:
        partial.discard()  # the job accepts no more files
        raise
    partial.discard()
    return PieceOut(received=upload.size, arrived=True, **dict(receipt))


def _append(
    context: AppContext, partial: PartialFile, *, at: int, size: int, body: BinaryIO
) -> int:
    """Returns how many bytes of the whole file are on disk now."""
    room = min(size - at, MAX_PIECE_BYTES)
    check_room(context, wanted=room)
    with noticing_full_disk():
        written = partial.append(body, at=at, max_bytes=room)
    if body.read(1):
        partial.cut(at)
        raise PieceError(f"the piece is longer than {room} bytes", status=413, received=at)
    return at + written


def _count(context: AppContext, upload: Upload, received: int) -> None:
    with noticing_full_disk(), context.sessions.begin() as session:
        require_open(session, upload.job_id)
        if not advance(session, upload.id, before=upload.received, received=received):
            raise JobStateError("this file is not expected any more")
    upload.received = received


def _complete(
    context: AppContext, upload: Upload, partial: PartialFile, *, is_too_large: bool
) -> FilesOut:
    sha256 = upload.sha256 if is_too_large else sha256_of(partial.path)
    if upload.sha256 not in ("", sha256):
        _count(context, upload, 0)
        partial.discard()
        raise PieceError(OTHER_SHA256, status=422, received=0)
    with partial.path.open("rb") as stream:
        declared = Declared(upload.file, upload.size, sha256)
        sent = SentFile(declared, stream, path=partial.path)
        return receive(context, job_id=upload.job_id, sent=[sent])


def _is_too_large(context: AppContext, upload: Upload, partial: PartialFile) -> bool:
    """Known before the rest of the file is sent: its first bytes tell its kind."""
    head = partial.head(SIGNATURE_BYTES)
    is_known = len(head) >= min(SIGNATURE_BYTES, upload.size)
    return is_known and upload.size > size_limit(context.settings, head)


def _require(offset: int, received: int) -> None:
    if offset != received:
        raise PieceError(
            f"expected offset {received}, received {offset}", status=409, received=received
        )
