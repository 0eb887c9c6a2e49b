"""A zip's members become files of the job, each with its own fate."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from models.intake.images import NewImage
from pipeline.errors import RefusedError
from pipeline.files.archive import ArchiveLimits, Member, is_archive, members
from web.arrivals import refuse, store, store_side_by_side
from web.file_names import clean_file_name
from web.services import Services

SMALL = 2**20  # read into memory and stored beside others; larger ones go to disk one by one


def is_zip(stream: BinaryIO) -> bool:
    head = stream.read(4)
    stream.seek(0)
    return is_archive(head)


def unpack(services: Services, archive: str, stream: BinaryIO) -> Iterator[NewImage]:
    """In the archive's order. One that is refused as a whole is one refused file."""
    return store_side_by_side(_tasks(services, archive, stream))


def _tasks(services: Services, archive: str, stream: BinaryIO) -> Iterator[Callable[[], NewImage]]:
    try:
        for member in members(stream, limits=_limits(services)):
            # The zip is a folder like any other: equal names in two zips are two files.
            file = clean_file_name(f"{archive}/{member.name}")
            yield _task(services, file, member)
    except RefusedError as refusal:
        reason = str(refusal)
        yield lambda: refuse(archive, reason)


def _task(services: Services, file: str, member: Member) -> Callable[[], NewImage]:
    """A member is read before the next one is asked for."""
    try:
        with member.open() as stream:
            if member.size > SMALL:
                stored = store(services, file, stream)
                return lambda: stored
            content = io.BytesIO(stream.read(SMALL + 1))
    except RefusedError as refusal:
        refused = refuse(file, str(refusal))
        return lambda: refused
    return partial(store, services, file, content)


def _limits(services: Services) -> ArchiveLimits:
    settings = services.settings
    return ArchiveLimits(
        max_files=settings.max_archive_files,
        max_bytes=settings.max_archive_bytes,
        max_member_bytes=settings.max_file_bytes,
    )
