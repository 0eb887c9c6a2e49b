"""One batch on its way: a few small files in one request, or a large one in chunks.

Every content is compared with its declaration: a small file's before it leaves, a large one's by
the service, at its last byte.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from cli.answers import CONFLICT, Refused, WrongOffsetError
from cli.client import Client
from cli.fatal import Failed
from cli.files import sha256_of
from cli.journal import Upload

SMALL = 8 * 2**20  # bytes; what is larger can be gone on with in its middle
CHUNK = 8 * 2**20
# Written into forms in ways that not every reader undoes alike: such a file goes by its number.
ODD_IN_FORMS = re.compile(r'["%\\]')
MISMATCH = 422  # all bytes have arrived and are not those that were declared


@dataclass
class Outcome:
    """What became of a batch. troubles: why a file cannot be sent."""

    arrived: list[Upload] = field(default_factory=list)
    troubles: list[tuple[Upload, str]] = field(default_factory=list)


def goes_alone(upload: Upload) -> bool:
    """In chunks, not in a form with others."""
    return upload.size > SMALL or ODD_IN_FORMS.search(upload.file) is not None


class _ChangedError(Exception):
    def __str__(self) -> str:
        return "has changed since it was declared"


TROUBLES = (OSError, _ChangedError, Refused)


class Delivery:
    """count: is told, from whichever thread, how many more bytes are safe."""

    def __init__(self, client: Client, job_id: str, *, count: Callable[[int], None]) -> None:
        self._client, self._job_id, self._count = client, job_id, count

    def send(self, batch: list[Upload]) -> Outcome:
        if len(batch) == 1:
            return self._send_singly(batch)
        try:
            self._send_whole(batch)
        except TROUBLES:
            # One of them cannot be sent: find out which, and send the others.
            return self._send_singly(batch)
        return Outcome(arrived=batch)

    def _send_singly(self, batch: list[Upload]) -> Outcome:
        outcome = Outcome()
        for upload in batch:
            try:
                if goes_alone(upload):
                    self._send_in_chunks(upload)
                else:
                    self._send_whole([upload])
            except TROUBLES as trouble:
                outcome.troubles.append((upload, _cause(trouble)))
            else:
                outcome.arrived.append(upload)
        return outcome

    def _send_whole(self, batch: list[Upload]) -> None:
        contents = [(upload.file, _content(upload)) for upload in batch]
        self._client.send_files(self._job_id, contents)
        self._count(sum(upload.size for upload in batch))

    def _send_in_chunks(self, upload: Upload) -> None:
        try:
            self._send_from(upload.received, upload)
        except Refused as refusal:
            if refusal.status != MISMATCH:
                raise
            if sha256_of(upload.path) != upload.sha256:
                raise _ChangedError from None
            # What lay there, perhaps from before a crash, was damaged.
            self._send_from(0, upload)

    def _send_from(self, offset: int, upload: Upload) -> None:
        with upload.path.open("rb") as file:
            has_arrived = False
            while not has_arrived:
                received, has_arrived = self._send_chunk(upload, file, offset)
                self._count(received - offset)
                offset = received

    def _send_chunk(self, upload: Upload, file: BinaryIO, offset: int) -> tuple[int, bool]:
        """How many bytes the service has now, and whether that is all of it."""
        if self._client.is_stopped:
            raise Failed("stopped")
        file.seek(offset)
        chunk = file.read(min(CHUNK, upload.size - offset))
        if not chunk and offset < upload.size:
            raise _ChangedError
        try:
            answer = self._client.send_chunk(self._job_id, upload.id, chunk, offset=offset)
        except WrongOffsetError as error:
            return error.offset, False
        return int(answer["received"]), bool(answer["arrived"])


def _content(upload: Upload) -> bytes:
    with upload.path.open("rb") as file:
        content = file.read(upload.size + 1)
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        raise _ChangedError
    return content


def _cause(trouble: Exception) -> str:
    if isinstance(trouble, Refused):
        if trouble.status == CONFLICT:  # the job is closed or cancelled: for the others, too
            raise trouble
        return trouble.title
    if isinstance(trouble, OSError):
        return f"cannot be read: {trouble.strerror}"
    return str(trouble)
