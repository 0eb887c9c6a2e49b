"""Take one piece of a declared file: it counts once it is on disk; the last completes the file."""

from typing import BinaryIO

from models.context import AppContext
from models.files.partial import PartialFile, PartialFiles
from models.files.store import Stored
from models.intake.images import images_of_file
from models.intake.jobs import JobStateError, require_open
from models.intake.uploads import Declared, advance, find_upload
from models.tables.intake import Upload
from pipeline.checksum import sha256_of
from pipeline.errors import Reason, RefusalCode
from pipeline.files.archive import is_archive
from pipeline.files.sniff import is_junk
from web.http.disk import check_room, noticing_full_disk
from web.intake.receive import Arrivals, arriving, keep, list_files, refuse, unpack
from web.intake.schemas import PieceOut

MAX_PIECE_BYTES = 16 * 2**20
SIGNATURE_BYTES = 4


class NoUploadError(Exception):
    pass


class PieceError(Exception):
    """Why a piece was refused, in a sentence. received: where the next one has to start."""

    def __init__(self, why: str, *, status: int, received: int) -> None:
        super().__init__(why)
        self.status = status
        self.received = received


def current_upload(context: AppContext, *, job_id: str, upload_id: int) -> Upload:
    with context.sessions() as session:
        upload = find_upload(session, job_id=job_id, upload_id=upload_id)
    if upload is None:
        raise NoUploadError
    return upload


def take_piece(
    context: AppContext, *, job_id: str, upload_id: int, offset: int, body: BinaryIO
) -> PieceOut:
    """BusyError while another request sends a piece of the same file."""
    upload = current_upload(context, job_id=job_id, upload_id=upload_id)
    if upload.arrived_at is not None:
        return _repeat(context, upload, offset)
    with PartialFiles(context.store).hold(upload_id) as partial:
        # Read again: now no other request can change it.
        upload = current_upload(context, job_id=job_id, upload_id=upload_id)
        if upload.arrived_at is not None:
            return _repeat(context, upload, offset)
        try:
            return _take(context, upload, partial, offset=offset, body=body)
        except JobStateError:
            partial.discard()  # the job accepts no more files
            raise


def _repeat(context: AppContext, upload: Upload, offset: int) -> PieceOut:
    """The file has arrived, but the client did not get the answer."""
    _require(offset, upload.size)
    piece = PieceOut(received=upload.size, arrived=True)
    with context.sessions() as session:
        list_files(piece, images_of_file(session, job_id=upload.job_id, file=upload.file))
    return piece


def _take(
    context: AppContext, upload: Upload, partial: PartialFile, *, offset: int, body: BinaryIO
) -> PieceOut:
    received = min(upload.received, partial.size)
    if received < upload.received:  # the file on disk was deleted or cut
        _count(context, upload, received)
    _require(offset, received)
    received = _append(context, partial, at=received, size=upload.size, body=body)
    too_large = _too_large(context, upload, partial)
    # The last piece is counted with the rows of what it completes: most files are one piece.
    if received < upload.size and not too_large:
        _count(context, upload, received)
        return PieceOut(received=received, arrived=False)
    with arriving(context, upload.job_id) as arrivals:
        if too_large:
            arrivals.add(refuse(upload.file, Reason(RefusalCode.TOO_LARGE, too_large)))
            arrivals.complete(Declared(upload.file, upload.size, upload.sha256))
        else:
            _complete(context, upload, partial, arrivals)
    partial.discard()
    return PieceOut(received=upload.size, arrived=True, **dict(arrivals.receipt))


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
    context: AppContext, upload: Upload, partial: PartialFile, arrivals: Arrivals
) -> None:
    """All bytes are on disk: check them, then unpack them or move them into the store."""
    sha256 = sha256_of(partial.path)
    if upload.sha256 not in ("", sha256):
        _count(context, upload, 0)
        partial.discard()
        raise PieceError(
            "the SHA-256 differs from the declared one: send the file again from its start",
            status=422,
            received=0,
        )
    if is_junk(upload.file):
        arrivals.receipt.ignored.append(upload.file)
    elif is_archive(partial.head(SIGNATURE_BYTES)):
        with partial.path.open("rb") as stream:
            for image in unpack(context, upload.file, stream):
                arrivals.add(image)
    else:
        with noticing_full_disk():
            context.store.adopt(partial.path, sha256)
        arrivals.add(keep(upload.file, Stored(sha256, upload.size)))
    arrivals.complete(Declared(upload.file, upload.size, sha256))


def _too_large(context: AppContext, upload: Upload, partial: PartialFile) -> str | None:
    """The reason to refuse the file before its rest is sent; the first bytes tell its kind."""
    settings, head = context.settings, partial.head(SIGNATURE_BYTES)
    if len(head) < min(SIGNATURE_BYTES, upload.size):
        return None
    limit = settings.max_archive_bytes if is_archive(head) else settings.max_file_bytes
    return f"larger than {limit / 2**20:.0f} MiB" if upload.size > limit else None


def _require(offset: int, received: int) -> None:
    if offset != received:
        raise PieceError(
            f"expected offset {received}, received {offset}", status=409, received=received
        )
