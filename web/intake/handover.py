"""Take small declared files that a command on this machine has put beside the file store.

Their names hold a token that the command chose, so that they can be named only by who put them
there, and who could put them there is the owner of the data folder. Nothing is trusted for that:
their size and SHA-256 are checked as if they had been sent.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from models.context import AppContext
from models.files.handover import handed_over_path
from models.intake.uploads import Declared
from models.tables.intake import Upload
from web.http.disk import check_room
from web.intake.receive import SentFile, receive
from web.intake.schemas import BatchOut, SentOut, sent_out


class NotHandedOverError(Exception):
    """One sentence for the user."""


def take_handed_over(
    context: AppContext, *, job_id: str, uploads: Sequence[Upload], token: str
) -> BatchOut:
    """The files stay where they are; the command deletes them. Raises NotHandedOverError."""
    check_room(context)
    outcomes: list[SentOut] = []
    sent = _intact_files(context, uploads, token, outcomes)
    receipt = receive(context, job_id=job_id, sent=sent)
    return BatchOut(uploads=outcomes, **dict(receipt))


def _intact_files(
    context: AppContext, uploads: Sequence[Upload], token: str, outcomes: list[SentOut]
) -> Iterator[SentFile]:
    """Those that are to be stored; the outcome of each one is added to `outcomes`."""
    for upload in uploads:
        if upload.arrived_at is not None:
            outcomes.append(sent_out(upload, "arrived_before"))
            continue
        path = handed_over_path(context.store.temporary, token, upload.id)
        with _opened(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if file.tell() != upload.size or upload.sha256 not in ("", sha256):
                outcomes.append(sent_out(upload, "wrong_sha256"))
                continue
            file.seek(0)
            yield SentFile(Declared(upload.file, upload.size, sha256), file, path=path)
        outcomes.append(sent_out(upload, "arrived"))


def _opened(path: Path) -> BufferedReader:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise NotHandedOverError("expected files with this token, found none") from None
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        file.close()
        raise NotHandedOverError("expected files of the service's own user, not linked elsewhere")
    return file
