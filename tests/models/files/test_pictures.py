"""Pictures on disk: checked when read, bounded, and gone with their stored file."""

import errno
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.config.settings import Settings
from models.files.orphans import find_orphans
from models.files.pictures import Pictures, picture_name
from models.files.references import needed_files
from models.files.store import FileStore
from tests.support.data.damage import flip_a_bit
from tests.support.data.sites import Site
from tests.support.data.uploads import files_in
from tests.support.servers.databases import both_databases

PNG = b"a picture " * 100


@pytest.fixture
def store(settings: Settings) -> FileStore:
    return FileStore(settings.files_dir)


@pytest.fixture
def pictures(store: FileStore) -> Pictures:
    return Pictures(store, max_bytes=2**20)


def stored(store: FileStore, content: bytes = b"a film") -> str:
    return store.put_bytes(content).sha256


def read(pictures: Pictures, name: str) -> bytes | None:
    found = pictures.open(name)
    if found is None:
        return None
    with found.file:
        content = found.file.read()
    assert found.size == len(content)
    return content


def file_of(store: FileStore, name: str) -> Path:
    (path,) = [one for one in files_in(store, "pictures") if one.name == name]
    return path


def test_picture_is_kept_by_name(store: FileStore, pictures: Pictures) -> None:
    display = picture_name(stored(store))
    overlay = picture_name(stored(store), np.zeros((7, 7), np.float32))
    other = picture_name(stored(store), np.ones((7, 7), np.float32))
    pictures.put(display, PNG)
    pictures.put(overlay, PNG[::-1])
    assert read(pictures, display) == PNG
    assert read(pictures, overlay) == PNG[::-1]
    assert read(pictures, other) is None


def test_damaged_or_exchanged_picture_is_discarded(store: FileStore, pictures: Pictures) -> None:
    damaged, exchanged, cut = (picture_name(stored(store, one)) for one in (b"1", b"2", b"3"))
    for name in (damaged, exchanged, cut):
        pictures.put(name, PNG)
    file_of(store, exchanged).write_bytes(file_of(store, damaged).read_bytes())
    flip_a_bit(file_of(store, damaged))
    file_of(store, cut).write_bytes(b"")
    for name in (damaged, exchanged, cut):
        assert read(pictures, name) is None
    assert files_in(store, "pictures") == []


def put_three(store: FileStore, pictures: Pictures) -> list[str]:
    """Names, longest unused first."""
    names = [picture_name(stored(store, bytes([number]))) for number in range(3)]
    for number, name in enumerate(names):
        pictures.put(name, PNG)
        os.utime(file_of(store, name), (1000 + number, 1000 + number))
    return names


def test_longest_unused_pictures_are_deleted_first(store: FileStore) -> None:
    size = len(PNG) + hashlib.sha256().digest_size
    pictures = Pictures(store, max_bytes=3 * size)
    names = put_three(store, pictures)
    assert read(pictures, names[0]) == PNG
    pictures.put(picture_name(stored(store, b"new")), PNG)
    assert read(pictures, names[1]) is None
    assert read(pictures, names[0]) == PNG
    assert len(files_in(store, "pictures")) == 3


def free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    found = SimpleNamespace(free=free)
    monkeypatch.setattr("models.files.pictures.shutil.disk_usage", lambda _: found)


def test_pictures_leave_the_reserve_of_the_disk_free(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(PNG) + hashlib.sha256().digest_size
    monkeypatch.setattr("models.files.pictures.ALWAYS_KEPT_BYTES", size)
    pictures = Pictures(store, max_bytes=2**20, reserve_bytes=1000 * size)
    free_space(monkeypatch, 1000 * size)
    names = put_three(store, pictures)
    free_space(monkeypatch, 998 * size)
    pictures.put(new := picture_name(stored(store, b"new")), PNG)
    assert [path.name for path in files_in(store, "pictures")] == sorted([names[2], new])
    free_space(monkeypatch, 0)
    pictures.trim()
    assert [path.name for path in files_in(store, "pictures")] == [new]


def test_picture_replaces_all_others_on_a_full_disk(
    store: FileStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (picture_name(stored(store, one)) for one in (b"1", b"2"))
    pictures.put(old, PNG)
    write = Pictures._write

    def refuse(self: Pictures, target: Path, content: bytes) -> None:
        if files_in(store, "pictures"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, target, content)

    monkeypatch.setattr(Pictures, "_write", refuse)
    pictures.put(new, PNG)
    assert [path.name for path in files_in(store, "pictures")] == [new]


def test_picture_does_not_outlive_its_stored_file(store: FileStore, pictures: Pictures) -> None:
    name = picture_name(stored(store))
    store.delete(stored(store), area="stored")
    pictures.put(name, PNG)  # its drawing began before
    assert files_in(store, "pictures") == []


@both_databases
def test_purge_deletes_pictures_with_their_stored_file(site: Site) -> None:
    purged, other = site.job(0, 2), site.job(2)
    pictures = Pictures(site.store, max_bytes=2**20)
    for path in files_in(site.store, "stored"):
        pictures.put(picture_name(path.name), PNG)
        pictures.put(picture_name(path.name, np.ones((7, 7), np.float32)), PNG)
    site.purge(purged)
    left = {path.name[:64] for path in files_in(site.store, "pictures")}
    assert left == {path.name for path in files_in(site.store, "stored")}
    assert len(left) == 1
    site.purge(other)
    assert files_in(site.store, "pictures") == []


def test_forgotten_pictures_are_orphans_until_the_tidy(site: Site) -> None:
    site.job(0)
    (path,) = files_in(site.store, "stored")
    pictures, name = Pictures(site.store, max_bytes=2**20), picture_name(path.name)
    pictures.put(name, PNG)
    assert find_orphans(site.database.sessions, site.store) == []
    path.rename(path.with_name("elsewhere"))
    assert f"pictures/{name}: no row needs this file" in find_orphans(
        site.database.sessions, site.store
    )
    pictures.trim()
    assert files_in(site.store, "pictures") == []


def test_backups_leave_pictures_out(site: Site) -> None:
    site.job(0)
    (path,) = files_in(site.store, "stored")
    Pictures(site.store, max_bytes=2**20).put(picture_name(path.name), PNG)
    with site.database.sessions() as session:
        needed = list(needed_files(session, site.database.settings))
    assert path in needed
    assert not set(needed) & set(files_in(site.store, "pictures"))
