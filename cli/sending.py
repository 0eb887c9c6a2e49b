"""Sends files to a job: in batches, a few at a time, skipping what the job already has."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cli.client import Client
from cli.files import sha256_of
from cli.progress import Progress
from cli.sources import Source

BATCH_FILES = 64
BATCH_BYTES = 8 * 2**20
IN_FLIGHT = 2


@dataclass
class Sent:
    """What became of the files on the way. unreadable: name and cause of what could not be sent."""

    done: int = 0
    already_there: int = 0
    rows: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def send_all(
    client: Client, job_id: str, sources: Iterable[Source], *, resumed: bool, shown: Progress
) -> Sent:
    """resumed: ask the job first what it has; hashing all of it is dearer than a fresh start."""
    sent = Sent()
    waiting: list[tuple[list[Source], Future[list[dict[str, Any]]]]] = []
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="send") as threads:
        try:
            for batch in _batches(_missing(client, job_id, sources, sent) if resumed else sources):
                if len(waiting) > IN_FLIGHT:
                    _finish(client, job_id, *waiting.pop(0), sent, shown)
                waiting.append((batch, threads.submit(client.send_files, job_id, batch)))
            while waiting:
                _finish(client, job_id, *waiting.pop(0), sent, shown)
        finally:
            for _, future in waiting:
                future.cancel()
    return sent


def _finish(
    client: Client,
    job_id: str,
    batch: list[Source],
    answer: Future[list[dict[str, Any]]],
    sent: Sent,
    shown: Progress,
) -> None:
    try:
        sent.rows += len(answer.result())
    except OSError:
        # One file of the batch cannot be read: find out which, and send the others.
        sent.rows += sum(_send_one(client, job_id, source, sent) for source in batch)
    sent.done += len(batch)
    shown.show(sent.done + sent.already_there)


def _send_one(client: Client, job_id: str, source: Source, sent: Sent) -> int:
    try:
        return len(client.send_files(job_id, [source]))
    except OSError as error:
        sent.unreadable.append((source.file, f"cannot be read: {error.strerror}"))
        return 0


def _missing(
    client: Client, job_id: str, sources: Iterable[Source], sent: Sent
) -> Iterator[Source]:
    remaining = iter(sources)
    while some := list(islice(remaining, 500)):
        hashed = [(source, _hash(source)) for source in some]
        asked = [{"file": source.file, "sha256": sha} for source, sha in hashed if sha]
        known = client.known(job_id, asked) if asked else set()
        there = {asked[place]["file"] for place in known}
        sent.already_there += len(there)
        yield from (source for source in some if source.file not in there)


def _hash(source: Source) -> str | None:
    try:
        return sha256_of(source.path)
    except OSError:
        return None  # sending it will say why


def _batches(sources: Iterable[Source]) -> Iterator[list[Source]]:
    batch: list[Source] = []
    size = 0
    for source in sources:
        size += _size(source)
        batch.append(source)
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(source: Source) -> int:
    try:
        return source.path.stat().st_size
    except OSError:
        return 0
