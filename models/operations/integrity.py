"""Compare what is stored with its hash, its seal or its list of checksums; find what is lost.

All is divided into 256 shares by the first two digits of the hashes; a model version belongs to
the share of its name's hash. So any share can be verified by itself, whatever comes and goes.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.files.damage import Damage, DamageArea, forget_damage, list_damage
from models.files.presence import require_store
from models.files.references import files_below, needed
from models.files.store import Area, BlobArea, FileStore
from models.learning.versions import version_path
from models.query import batches
from models.session import Sessions
from models.tables.intake import ModelVersion
from pipeline.checksum import sha256_of
from pipeline.errors import DamagedFileError, NetworkFolderError
from pipeline.inference.version_folder import verify_checksums
from pipeline.types import PREPROCESSING

SHARES = 256
BLOB_AREAS: tuple[BlobArea, ...] = ("incoming", "stored")
MUST_EXIST: tuple[Area, ...] = ("stored", "inputs")  # an upload may be deleted at any time


class Verified(NamedTuple):
    """A file, or a model version's folder. size: bytes. why: empty if it is intact."""

    area: DamageArea
    name: str
    size: int
    why: str = ""

    @property
    def damage(self) -> Damage:
        return Damage(self.area, self.name)


def verify_share(
    sessions: Sessions, store: FileStore, share: int, *, backups: Path | None = None
) -> Iterator[Verified]:
    """Yield after each file. Damaged network inputs are discarded, all else is left as it is.

    share: 0 to 255. backups: a folder of them, whose blobs are verified, too.
    Raises StoreAwayError, also at the end: then what was found does not count.
    """
    require_store(store.root)
    prefix = f"{share:02x}"
    for must_exist in MUST_EXIST:  # before inputs are discarded
        yield from _find_lost(sessions, store, must_exist, prefix)
    for area in BLOB_AREAS:
        yield from verify_blobs(store.root / area / prefix, area)
    for preprocessing in store.preprocessings():
        folder = store.root / "inputs" / preprocessing / prefix
        yield from _verify_each(folder, "inputs", partial(_is_input_intact, store, preprocessing))
    yield from _verify_versions(sessions, store.root.parent, share)
    if backups is not None:
        yield from verify_blobs(backups / "files" / prefix, "backup")
    require_store(store.root)


def verify_blobs(folder: Path, area: DamageArea) -> Iterator[Verified]:
    """folder: of one share. Files that vanish meanwhile are left out."""
    yield from _verify_each(folder, area, lambda file: sha256_of(Path(file)) == file.name)


def forget_whole(
    sessions: Sessions, store: FileStore, *, backups: Path | None = None
) -> list[Damage]:
    """Forget what is intact by now, or needed by no row any more. Returns what is still damaged."""
    with sessions() as session:
        found = list_damage(session)
    whole = [one for one in found if is_whole(sessions, store, one, backups=backups)]
    if whole:
        with sessions.begin() as session:
            forget_damage(session, whole)
    return [one for one in found if one not in whole]


def is_whole(
    sessions: Sessions, store: FileStore, damage: Damage, *, backups: Path | None = None
) -> bool:
    area, name = damage
    if area == "backup":
        blob = backups / "files" / name[:2] / name if backups else None
        try:
            return blob is None or not blob.exists() or sha256_of(blob) == name
        except OSError:  # also a bad sector
            return False
    with sessions() as session:
        if area == "networks":
            version = session.scalar(select(ModelVersion).filter_by(name=name))
            return version is None or not _why_unusable(version, store.root.parent)
        if not any(needed(session, area, [name])):
            return True
    if area == "inputs":
        return store.renew_network_input(name, PREPROCESSING)
    try:
        store.checked_path(name, area=area)
    except (OSError, DamagedFileError):
        return False
    return True


def _verify_each(
    folder: Path, area: DamageArea, is_intact: Callable[[os.DirEntry[str]], bool]
) -> Iterator[Verified]:
    try:
        for file in files_below(folder):
            try:
                size = file.stat(follow_symlinks=False).st_size
                why = "" if is_intact(file) else "damaged"
            except FileNotFoundError:
                continue
            except OSError as error:
                size, why = 0, f"cannot be read: {error.strerror}"
            yield Verified(area, file.name, size, why)
    except OSError as error:  # a folder that cannot be listed must not keep back other shares
        yield Verified(area, folder.name, 0, f"cannot be read: {error.strerror}")


def _is_input_intact(store: FileStore, preprocessing: str, file: os.DirEntry[str]) -> bool:
    try:
        store.network_input(file.name, preprocessing)
    except DamagedFileError:
        return False
    return True


def _find_lost(sessions: Sessions, store: FileStore, area: Area, prefix: str) -> Iterator[Verified]:
    def missing(session: Session, among: Sequence[str] | None = None) -> list[str]:
        found = needed(session, area, among, prefix=prefix)
        return [
            sha256
            for sha256, must in found
            if must and not any(_is_there(path) for path in store.paths(area, sha256))
        ]

    with sessions() as session:
        first = missing(session)
    for some in batches(first):
        with sessions() as session:  # some may have been purged meanwhile
            yield from (Verified(area, one, 0, "missing") for one in missing(session, some))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that cannot be read
        return False


def _verify_versions(sessions: Sessions, data_dir: Path, share: int) -> Iterator[Verified]:
    with sessions() as session:
        versions = session.scalars(select(ModelVersion).order_by(ModelVersion.id)).all()
    for version in versions:
        if hashlib.sha256(version.name.encode()).digest()[0] == share:
            folder = version_path(version, data_dir=data_dir)
            size = sum(file.stat().st_size for file in files_below(folder))
            yield Verified("networks", version.name, size, _why_unusable(version, data_dir))


def _why_unusable(version: ModelVersion, data_dir: Path) -> str:
    try:
        verify_checksums(version_path(version, data_dir=data_dir))
    except (NetworkFolderError, OSError) as error:
        return str(error)
    return ""
