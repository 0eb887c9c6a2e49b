"""Everything that will be sent is declared first, so that nothing can be missing in silence."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from cli.api.client import Client
from cli.output import sha256_of
from cli.progress import Progress
from cli.submit.send import Lanes
from cli.submit.upload_state import Hashed, Journal
from cli.walk import Source

BATCH = 1000  # declarations in one request, the most that the service takes


Declare = Callable[[list[Hashed]], None]


def declare_all(
    declare: Declare, sources: Iterable[Source], *, journal: Journal, shown: Progress
) -> list[tuple[str, str]]:
    """declare: called with some at a time, never with none. Returns names and causes of files that
    cannot be read.
    """
    unreadable: list[tuple[str, str]] = []
    done = 0
    hashed = _hash_all(sources, journal, unreadable)
    while some := list(islice(hashed, BATCH)):
        declare(some)
        done += len(some)
        shown.show(done + len(unreadable))
    return unreadable


def declare_to(client: Client, job_id: str, files: list[Hashed], journal: Journal) -> None:
    said = [
        {"file": found.source.file, "size": found.size, "sha256": found.sha256} for found in files
    ]
    answers = client.declare(job_id, said)
    journal.declared(
        (found, answer["id"], answer["received"], answer["arrived"])
        for found, answer in zip(files, answers, strict=True)
    )


def _hash_all(
    sources: Iterable[Source], journal: Journal, unreadable: list[tuple[str, str]]
) -> Iterator[Hashed]:
    lanes: Lanes[tuple[Source, str | None], Hashed] = Lanes(
        _hash, number=min(4, os.cpu_count() or 1), name="hash"
    )
    for (source, _), future in lanes.in_order((one, _known(one, journal)) for one in sources):
        try:
            yield future.result()
        except OSError as error:
            unreadable.append((source.file, f"cannot be read: {error.strerror}"))


def _known(source: Source, journal: Journal) -> str | None:
    """The journal is for this thread only."""
    try:
        found = source.path.stat()
    except OSError:
        return None  # hashing it will say why
    return journal.hash_of(source, size=found.st_size, modified_ns=found.st_mtime_ns)


def _hash(task: tuple[Source, str | None]) -> Hashed:
    source, known = task
    # Looked at before it is read: what is written meanwhile makes it another file next time.
    before = source.path.stat()
    sha256 = known or sha256_of(source.path)
    return Hashed(source, before.st_size, before.st_mtime_ns, sha256)
