"""A verification finds each kind of damage, in the share of the file's hash, and nothing else."""

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from models.files.damage import Damage, list_damage, note_damage
from models.files.presence import StoreAwayError, mark_store
from models.files.store import Area, FileStore
from models.operations.integrity import SHARES, Verified, forget_whole, is_whole, verify_share
from models.tables.intake import Image, State
from pipeline.types import PREPROCESSING
from tests.support.data.damage import flip_a_bit, swap
from tests.support.data.nights import a_trained_version
from tests.support.data.sites import Site
from tests.support.servers.databases import both_databases

UPLOAD = 9  # numbers of `Site`
READ = 1, 3


@pytest.fixture
def filled(site: Site) -> Site:
    site.job(*READ)
    site.imported(5)
    site.job(UPLOAD, state=State.RECEIVED)
    with site.database.sessions.begin() as session:
        a_trained_version(session, site.database.settings)
    return site


def verify_all(site: Site, backups: Path | None = None) -> list[Verified]:
    sessions = site.database.sessions
    return [
        one
        for share in range(SHARES)
        for one in verify_share(sessions, site.store, share, backups=backups)
    ]


def damaged(site: Site) -> list[tuple[Damage, str]]:
    return sorted((one.damage, one.why) for one in verify_all(site) if one.why)


def stored_of(site: Site, number: int) -> str:
    return next(str(stored) for _, sha256, stored in site.images() if sha256 == site.sha256(number))


def input_path(site: Site, number: int) -> Path:
    (path,) = site.store.paths("inputs", site.sha256(number))
    return path


@both_databases
def test_intact_files_are_each_verified_once(filled: Site) -> None:
    filled.store.put_bytes(b"of no row")
    found = verify_all(filled)
    assert not [one for one in found if one.why]
    areas = sorted(one.area for one in found)
    assert areas == ["incoming", *["inputs"] * 3, *["networks"] * 2, *["stored"] * 3]
    (upload,) = (one for one in found if one.area == "incoming")
    path = filled.store.path(upload.name, area="incoming")
    assert (upload.name, upload.size) == (path.name, path.stat().st_size)


def rot_stored(site: Site) -> list[tuple[Damage, str]]:
    name = stored_of(site, 3)
    flip_a_bit(site.store.path(name))
    return [(Damage("stored", name), "damaged")]


def rot_upload(site: Site) -> list[tuple[Damage, str]]:
    path = site.store.path(site.sha256(UPLOAD), area="incoming")
    path.write_bytes(b"other bytes")
    return [(Damage("incoming", path.name), "damaged")]


def swap_inputs(site: Site) -> list[tuple[Damage, str]]:
    paths = [input_path(site, number) for number in READ]
    swap(*paths)
    return sorted((Damage("inputs", path.name), "damaged") for path in paths)


def lose_input(site: Site) -> list[tuple[Damage, str]]:
    site.store.discard_network_input(site.sha256(5), PREPROCESSING)
    return [(Damage("inputs", site.sha256(5)), "missing")]


def lose_stored(site: Site) -> list[tuple[Damage, str]]:
    name = stored_of(site, 1)
    site.store.delete(name, area="stored")
    return [(Damage("stored", name), "missing")]


def rot_version(site: Site) -> list[tuple[Damage, str]]:
    folder = site.store.root.parent / "networks" / "night-1"
    flip_a_bit(folder / "network.bin")
    why = f"network.bin in {folder} is damaged: its checksum differs"
    return [(Damage("networks", "night-1"), why)]


def lose_the_disk(site: Site) -> list[tuple[Damage, str]]:
    """A file that can be listed and not read."""
    path = site.store.path(stored_of(site, 1))
    path.unlink()
    path.symlink_to(path)
    why = "cannot be read: Too many levels of symbolic links"
    return [(Damage("stored", path.name), "missing"), (Damage("stored", path.name), why)]


def test_store_that_is_away_has_lost_nothing(filled: Site) -> None:
    """Neither before the verification nor while it runs."""
    root = filled.store.root
    mark_store(root)
    away = root.with_name("elsewhere")
    sessions, share = filled.database.sessions, int(stored_of(filled, 1)[:2], 16)
    begun = verify_share(sessions, filled.store, share)
    next(begun)
    root.rename(away)
    with pytest.raises(StoreAwayError):
        list(begun)
    with pytest.raises(StoreAwayError):
        next(verify_share(sessions, filled.store, share))


Harm = Callable[[Site], list[tuple[Damage, str]]]


@pytest.mark.parametrize(
    "harm",
    [rot_stored, rot_upload, swap_inputs, lose_input, lose_stored, rot_version, lose_the_disk],
)
def test_damage_is_found_and_is_not_whole(filled: Site, harm: Harm) -> None:
    expected = harm(filled)
    assert sorted(damaged(filled)) == sorted(expected)
    sessions = filled.database.sessions
    assert not any(is_whole(sessions, filled.store, one) for one, _ in expected)


def test_damage_is_whole_when_it_is_repaired_or_not_needed(filled: Site) -> None:
    name, sessions = stored_of(filled, 3), filled.database.sessions
    rot_stored(filled)
    flip_a_bit(filled.store.path(name))
    assert is_whole(sessions, filled.store, Damage("stored", name))
    rot_stored(filled)
    with sessions.begin() as session:
        session.execute(update(Image).values(stored_sha256=None))
    assert is_whole(sessions, filled.store, Damage("stored", name))
    assert is_whole(sessions, filled.store, Damage("networks", "night-99"))


def test_damaged_input_is_discarded_and_a_stored_file_stays(filled: Site) -> None:
    rot_stored(filled)
    flip_a_bit(input_path(filled, 3))
    damaged(filled)
    assert not input_path(filled, 3).exists()
    assert filled.store.exists(stored_of(filled, 3))


def test_blobs_of_backups_belong_to_their_shares(filled: Site, tmp_path: Path) -> None:
    blobs = FileStore(tmp_path / "backups")  # lies as a folder of backups does
    name = hashlib.sha256(b"saved").hexdigest()
    path = blobs.root / "files" / name[:2] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rotten")
    share = verify_share(
        filled.database.sessions, filled.store, int(name[:2], 16), backups=blobs.root
    )
    assert [one.damage for one in share if one.why] == [Damage("backup", name)]
    sessions = filled.database.sessions
    with sessions.begin() as session:
        note_damage(session, [Damage("backup", name)])
    forget = partial(forget_whole, sessions, filled.store, backups=blobs.root)
    assert forget() == [Damage("backup", name)]
    path.write_bytes(b"saved")
    assert forget() == []
    with sessions() as session:
        assert list_damage(session) == []


@pytest.mark.parametrize("area", ["stored", "inputs"])
def test_folder_that_cannot_be_listed_keeps_nothing_else_back(filled: Site, area: Area) -> None:
    name = stored_of(filled, 3) if area == "stored" else filled.sha256(3)
    (path,) = filled.store.paths(area, name)
    shutil.rmtree(path.parent)
    path.parent.symlink_to(path.parent)
    found = damaged(filled)
    why = "cannot be read: Too many levels of symbolic links"
    assert (Damage(area, name[:2]), why) in found
    assert (Damage(area, name), "missing") in found


def test_blob_of_a_backup_that_cannot_be_read_is_not_whole(filled: Site, tmp_path: Path) -> None:
    name = "ab" * 32
    blob = tmp_path / "files" / "ab" / name
    blob.mkdir(parents=True)
    damage = Damage("backup", name)
    assert not is_whole(filled.database.sessions, filled.store, damage, backups=tmp_path)
