"""Declares the files of a job, and sends those that have not arrived.

Each file is hashed and declared before anything is sent, so that none can be missing unnoticed.
Small files are sent several to a request: one each would cost the portal ten times as much as
their bytes. Large ones are sent in chunks, and resumed in the middle.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.api.client import Client
from cli.api.errors import CONFLICT, Refused, WrongOffsetError
from cli.errors import Failed
from cli.progress import Progress
from cli.submit.handover import find_hand_over
from cli.walk import Source
from pipeline.checksum import sha256_of
from pipeline.look_ahead import map_ahead

DECLARED_AT_ONCE = 1000  # the most that the service accepts in one request
BATCH_FILES = 64
CHUNK_BYTES = 8 * 2**20
CONNECTIONS = 2
HASH_MISMATCH = 422
CHANGED = "has changed since it was declared"


class FileChangedError(Exception):
    pass


FILE_ERRORS = (OSError, FileChangedError, Refused)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send, and what the service answered to its declaration.

    received: bytes that the service has. folder: the first part of the name it goes by there.
    """

    file: str
    path: Path
    size: int  # bytes
    sha256: str
    id: int = 0
    received: int = 0
    arrived: bool = False
    folder: str = ""


def hash_files(sources: Iterable[Source], unreadable: list[tuple[str, str]]) -> Iterator[Upload]:
    """Yield those that can be read; the others are added to `unreadable`, with the cause."""
    for found in map_ahead(_hash, sources, threads=min(4, os.cpu_count() or 1), wait=False):
        if isinstance(found, Upload):
            yield found
        else:
            unreadable.append(found)


def _hash(source: Source) -> Upload | tuple[str, str]:
    try:
        size = source.path.stat().st_size
        return Upload(source.file, source.path, size, sha256_of(source.path))
    except OSError as error:
        return source.file, f"cannot be read: {error.strerror}"


class Sender:
    """Sends the uploads of one job, from several threads, and shows how many bytes are safe."""

    def __init__(
        self, client: Client, job_id: str, uploads: Iterable[Upload], progress: Progress
    ) -> None:
        self._client, self._job_id, self._progress = client, job_id, progress
        self._hand_over = find_hand_over(client.handover)
        self._uploads = list(uploads)
        self._files = sum(upload.arrived for upload in self._uploads)
        self._bytes = sum(upload.received for upload in self._uploads)
        self._total_bytes = sum(upload.size for upload in self._uploads)
        self._counting = threading.Lock()

    def send_all(self) -> dict[int, str]:
        """Return why files could not be sent, by their upload's id."""
        failures: dict[int, str] = {}
        batches = _batches(upload for upload in self._uploads if not upload.arrived)
        try:
            # An interrupted command must not wait for a zip that the service is unpacking.
            for failed in map_ahead(self._send, batches, threads=CONNECTIONS, wait=False):
                failures |= failed
        except BaseException:
            self._client.stop()
            raise
        self._show()
        return failures

    def _send(self, batch: list[Upload]) -> dict[int, str]:
        if batch[0].size <= CHUNK_BYTES:
            return self._send_whole(batch)
        (upload,) = batch
        failures: dict[int, str] = {}
        try:
            self._send_chunks(upload)
        except FILE_ERRORS as error:
            failures[upload.id] = _cause(error)
        self._count(files=1)
        return failures

    def _send_whole(self, batch: list[Upload]) -> dict[int, str]:
        failures: dict[int, str] = {}
        contents: dict[int, bytes] = {}
        for upload in batch:
            try:
                contents[upload.id] = _read(upload)
            except FILE_ERRORS as error:
                failures[upload.id] = _cause(error)
        if contents:
            sent = self._deliver(contents)
            failures |= {one["id"]: CHANGED for one in sent if one["status"] == "wrong_sha256"}
        size = sum(upload.size - upload.received for upload in batch if upload.id in contents)
        self._count(files=len(batch), size=size)
        return failures

    def _deliver(self, contents: Mapping[int, bytes]) -> list[dict[str, Any]]:
        if self._hand_over is not None:
            # Where there is no room for copies, the service says so when they are sent.
            with suppress(OSError), self._hand_over.put(contents) as token:
                return self._client.hand_over(self._job_id, token, contents)
        return self._client.send_batch(self._job_id, contents)

    def _send_chunks(self, upload: Upload) -> None:
        try:
            self._send_from(upload.received, upload)
        except Refused as refusal:
            if refusal.status != HASH_MISMATCH:
                raise
            if sha256_of(upload.path) != upload.sha256:
                raise FileChangedError from None
            # What the service had of it, perhaps from before a crash, was damaged.
            self._send_from(0, upload)

    def _send_from(self, offset: int, upload: Upload) -> None:
        with upload.path.open("rb") as file:
            arrived = False
            while not arrived:
                if self._client.is_stopped:
                    raise Failed("stopped")
                file.seek(offset)
                chunk = file.read(min(CHUNK_BYTES, upload.size - offset))
                if not chunk and offset < upload.size:
                    raise FileChangedError
                try:
                    answer = self._client.send_chunk(self._job_id, upload.id, chunk, offset=offset)
                    received, arrived = int(answer["received"]), bool(answer["arrived"])
                except WrongOffsetError as error:
                    received = error.offset
                self._count(size=received - offset)
                offset = received

    def _count(self, *, files: int = 0, size: int = 0) -> None:
        with self._counting:
            self._files += files
            self._bytes += size
        self._show()

    def _show(self) -> None:
        note = f"{_megabytes(self._bytes)} of {_megabytes(self._total_bytes)} MB"
        self._progress.show(self._files, total=len(self._uploads), note=note)


def _batches(uploads: Iterable[Upload]) -> Iterator[list[Upload]]:
    """A file that is sent in chunks is a batch by itself and does not wait for those before it."""
    batch: list[Upload] = []
    for upload in uploads:
        if upload.size > CHUNK_BYTES:
            yield [upload]
            continue
        if len(batch) == BATCH_FILES or sum(one.size for one in [*batch, upload]) > CHUNK_BYTES:
            yield batch
            batch = []
        batch.append(upload)
    if batch:
        yield batch


def _read(upload: Upload) -> bytes:
    with upload.path.open("rb") as file:
        content = file.read(upload.size + 1)
    if len(content) != upload.size:
        raise FileChangedError
    return content


def _cause(error: Exception) -> str:
    if isinstance(error, Refused):
        if error.status == CONFLICT:  # the job was closed or cancelled: nothing more can be sent
            raise error
        return error.title
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else CHANGED


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.{0 if size >= 1e7 else 1}f}"
