"""Take small declared files whole, several in one body: back to back, as long as declared.

The body passes through memory in blocks, however long it is: each file is hashed on its way to the
file store's disk, and gets its name if it is the declared one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from models.context import AppContext
from models.intake.uploads import Declared
from models.tables.intake import Upload
from pipeline.atomic_file import temporary_file
from pipeline.checksum import BLOCK
from web.http.disk import check_room, noticing_full_disk
from web.intake.receive import SentFile, receive
from web.intake.schemas import BatchOut, SentOut, sent_out


def take_batch(
    context: AppContext, *, job_id: str, uploads: Sequence[Upload], body: BinaryIO
) -> BatchOut:
    """Where the body ends early, the files that arrived whole are kept."""
    outcomes: list[SentOut] = []
    sent = _whole_files(context, uploads, _Body(body), outcomes)
    receipt = receive(context, job_id=job_id, sent=sent)
    return BatchOut(uploads=outcomes, **dict(receipt))


class _Body:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._rest = stream, memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        """The next bytes, in blocks; fewer than that if the body ends."""
        while size and (self._rest or self._read()):
            block, self._rest = self._rest[:size], self._rest[size:]
            size -= len(block)
            yield block

    def _read(self) -> bool:
        self._rest = memoryview(self._stream.read(BLOCK))
        return bool(self._rest)


def _whole_files(
    context: AppContext, uploads: Sequence[Upload], body: _Body, outcomes: list[SentOut]
) -> Iterator[SentFile]:
    """Those that are to be stored; the outcome of each one is added to `outcomes`."""
    folder = context.store.make_folder(context.store.temporary)
    for upload in uploads:
        if upload.arrived_at is not None:
            if sum(map(len, body.take(upload.size))) < upload.size:
                return
            outcomes.append(sent_out(upload, "arrived_before"))
            continue
        check_room(context, wanted=upload.size)
        with temporary_file(folder) as copy:
            with noticing_full_disk():
                sha256 = _write(copy.file, body.take(upload.size))
            if copy.file.tell() < upload.size:
                return
            if upload.sha256 not in ("", sha256):
                outcomes.append(sent_out(upload, "wrong_sha256"))
                continue
            copy.file.seek(0)
            declared = Declared(upload.file, upload.size, sha256)
            yield SentFile(declared, copy.file, path=copy.path)
        outcomes.append(sent_out(upload, "arrived"))


def _write(file: BinaryIO, blocks: Iterator[memoryview]) -> str:
    """Returns the SHA-256."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
        file.write(block)
    file.flush()
    return digest.hexdigest()
