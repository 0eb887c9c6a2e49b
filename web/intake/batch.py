"""Take small declared files whole, several in one body: back to back, as long as declared."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from models.context import AppContext
from models.intake.uploads import Declared
from models.tables.intake import Upload
from web.intake.pieces import OTHER_SHA256
from web.intake.receive import SentFile, receive
from web.intake.schemas import BatchOut, SentOut, SentStatus


def take_batch(
    context: AppContext, *, job_id: str, uploads: Sequence[Upload], body: BinaryIO
) -> BatchOut:
    """Where the body ends early, the files that arrived whole are kept."""
    outcomes: list[SentOut] = []
    receipt = receive(context, job_id=job_id, sent=_whole_files(uploads, body, outcomes))
    return BatchOut(uploads=outcomes, **dict(receipt))


def _whole_files(
    uploads: Sequence[Upload], body: BinaryIO, outcomes: list[SentOut]
) -> Iterator[SentFile]:
    """Those that are to be stored; the outcome of each one is added to `outcomes`."""
    for upload in uploads:
        content = body.read(upload.size)
        if len(content) < upload.size:
            return
        sha256 = hashlib.sha256(content).hexdigest()
        status: SentStatus = "arrived"
        if upload.arrived_at is not None:
            status = "arrived_before"
        elif upload.sha256 not in ("", sha256):
            status = "wrong_sha256"
        else:
            yield SentFile(Declared(upload.file, upload.size, sha256), io.BytesIO(content))
        reason = OTHER_SHA256 if status == "wrong_sha256" else None
        outcomes.append(SentOut(id=upload.id, status=status, reason=reason))
