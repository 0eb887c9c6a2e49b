"""Files of one request, as parts of a form."""

import os
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import BinaryIO, cast

from werkzeug.datastructures import FileStorage

from models.files.store import sha256_of
from models.intake.uploads import Declared
from pipeline.files.sniff import is_junk
from web.arrivals import Arrivals, Receipt, arriving, store, store_side_by_side
from web.file_names import clean_file_name
from web.services import Services
from web.unpacking import is_zip, unpack


def receive(services: Services, *, job_id: str, parts: Sequence[FileStorage]) -> Receipt:
    """Rows for all parts; a zip's members count as parts. The same file again is the same row."""
    with arriving(services, job_id) as arrivals:
        for are_plain, some in groupby(parts, _is_plain):
            if are_plain:
                _receive_plain(services, arrivals, list(some))
            else:
                for part in some:
                    _receive_special(services, arrivals, part)
    return arrivals.receipt


def _receive_plain(services: Services, arrivals: Arrivals, parts: Sequence[FileStorage]) -> None:
    for image in store_side_by_side(partial(store, services, _name(p), _stream(p)) for p in parts):
        arrivals.add(image)
        if not image.refused:
            arrivals.complete(Declared(image.file, image.size, image.sha256))
    for part in parts:
        if _size(part) > services.settings.max_file_bytes:
            arrivals.complete(_declaration(part))
        part.close()  # the copy that the parser spooled


def _receive_special(services: Services, arrivals: Arrivals, part: FileStorage) -> None:
    if is_junk(_name(part)):
        arrivals.receipt.ignored.append(_name(part))
    else:
        for image in unpack(services, _name(part), _stream(part)):
            arrivals.add(image)
    arrivals.complete(_declaration(part))
    part.close()


def _is_plain(part: FileStorage) -> bool:
    return not is_junk(_name(part)) and not is_zip(_stream(part))


def _declaration(part: FileStorage) -> Declared:
    """What the sender would have declared it as."""
    size, stream = _size(part), _stream(part)
    stream.seek(0)
    return Declared(_name(part), size, sha256_of(stream))


def _size(part: FileStorage) -> int:
    return _stream(part).seek(0, os.SEEK_END)


def _name(part: FileStorage) -> str:
    return clean_file_name(part.filename or "")


def _stream(part: FileStorage) -> BinaryIO:
    return cast(BinaryIO, part.stream)
