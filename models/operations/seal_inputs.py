"""Seal the network inputs that older releases wrote, once.

What rotted before is sealed as it is, except where a fingerprint in the database tells: there is
nothing else to compare with.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from models.files.references import files_below
from models.files.seal import PIXELS
from models.files.store import FileStore, make_private_folder
from models.learning.datasets import known_fingerprints
from models.query import VALUES_A_QUERY
from models.session import Sessions
from pipeline.atomic_file import write_file
from pipeline.types import NETWORK_INPUT_SIDE

log = logging.getLogger(__name__)

DONE = "inputs.sealed"  # in the file store
WRITERS = 4  # each waits for the disk
REPORT_EVERY = 100 * VALUES_A_QUERY  # files


def seal_inputs(sessions: Sessions, store: FileStore) -> None:
    """Harmless if killed and repeated: a file that is sealed is not sealed again."""
    if are_sealed(store):
        return
    count = 0
    for folder in store.folders("inputs"):
        unsealed = _unsealed(folder)
        while some := list(islice(unsealed, VALUES_A_QUERY)):
            if count % REPORT_EVERY == 0:
                log.warning("sealing the network inputs of an older release, %d done", count)
            _seal(sessions, store, folder.name, some)
            count += len(some)
    write_file(make_private_folder(store.root) / DONE, b"")


def are_sealed(store: FileStore) -> bool:
    return (store.root / DONE).exists()


def _unsealed(folder: Path) -> Iterator[os.DirEntry[str]]:
    return (file for file in files_below(folder) if file.stat().st_size == PIXELS)


def _seal(
    sessions: Sessions, store: FileStore, preprocessing: str, files: list[os.DirEntry[str]]
) -> None:
    with sessions() as session:
        names = [file.name for file in files]
        known = known_fingerprints(session, names, preprocessing=preprocessing)

    def seal_one(file: os.DirEntry[str]) -> None:
        try:
            pixels = Path(file).read_bytes()
        except OSError as error:  # a bad sector must not keep the service from starting
            log.error("a network input cannot be read: %s: %s", file.name[:12], error.strerror)
            return
        if file.name in known and hashlib.sha256(pixels).hexdigest() != known[file.name][0]:
            log.error("a network input differs from its fingerprint: %s", file.name[:12])
            return
        array = np.frombuffer(pixels, np.uint8).reshape(NETWORK_INPUT_SIDE, NETWORK_INPUT_SIDE)
        store.put_network_input(file.name, preprocessing, array)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(seal_one, files))
