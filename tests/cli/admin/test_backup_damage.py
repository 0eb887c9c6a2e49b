"""Damaged backups: later ones succeed, and replace what they can; a restore refuses.

Damaged files of the service: no backup takes them.
"""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from models.config.settings import Settings
from models.context import AppContext
from models.files.damage import list_damage
from models.operations import backup_files
from models.operations.backup_folder import FILE_LIST, MANIFEST, Backups, write_files
from models.tables.intake import Image, State
from pipeline.checksum import sha256_of
from tests.support.data.damage import flip_a_bit
from tests.support.data.kept import fill_history
from tests.support.servers.keeper import Keeper, files_of, loose_ends


@pytest.mark.parametrize("name", [FILE_LIST, MANIFEST])
def test_later_backup_succeeds_beside_a_damaged_one(
    keeper: Keeper, context: AppContext, restored: Settings, name: str
) -> None:
    fill_history(context)
    keeper.backup()
    damaged, contents = keeper.newest(), keeper.contents()
    flip_a_bit(damaged / name)
    said = keeper.backup()
    assert f"{damaged / FILE_LIST}: damaged; that backup cannot be restored" in said.output
    assert keeper.contents() == contents, "what it has saved is not saved again"
    assert "damaged" in keeper.restore(restored, "--from", damaged.name, fine=False).output
    keeper.restore(restored)
    assert files_of(restored.data_dir) == files_of(context.settings.data_dir)


def test_keep_deletes_no_file_while_a_list_is_damaged(keeper: Keeper, context: AppContext) -> None:
    keeper.backup()
    first = keeper.newest()
    fill_history(context)
    keeper.backup()
    second, contents = keeper.newest(), keeper.contents()
    flip_a_bit(second / FILE_LIST)
    said = keeper.backup("--keep", "2").output
    assert f"Deleted 1 older backup and no files: {second / FILE_LIST}: damaged" in said
    assert keeper.contents() == contents
    assert not first.exists()


def test_check_replaces_damaged_files_of_earlier_backups(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    fill_history(context)
    keeper.backup()
    flip_a_bit(keeper.contents()[3])
    assert "warning" not in keeper.backup().output, "only --check reads every byte"
    said = keeper.backup("--check").output
    assert "1 file of earlier backups were damaged; replaced" in said
    keeper.restore(restored)
    assert loose_ends(restored) == []


def test_restore_names_the_damaged_files(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    fill_history(context)
    keeper.backup()
    damaged = keeper.contents()[:2]
    for path in damaged:
        flip_a_bit(path)
    said = keeper.restore(restored, fine=False).output
    total = len(files_of(context.settings.data_dir))
    assert f"2 of {total} files are missing or damaged: " in said
    assert all(str(path) in said for path in damaged)
    assert "; nothing was restored" in said
    assert [left.name for left in restored.data_dir.iterdir()] == ["supervisor.lock"]


def damage_each_kind(context: AppContext) -> list[Path]:
    with context.sessions() as session:
        image = session.scalars(select(Image).where(Image.state == State.READY)).one()
        waiting = session.scalars(select(Image).where(Image.state == State.RECEIVED)).one()
    damaged = [
        context.store.path(str(image.stored_sha256)),
        context.store.path(waiting.sha256, area="incoming"),
        context.store.paths("inputs", image.sha256)[0],
        context.settings.data_dir / "networks" / "night-1" / "network.bin",
    ]
    for path in damaged:
        flip_a_bit(path)
    return damaged


def names_of(settings: Settings, paths: list[Path]) -> list[str]:
    """As they are called in messages."""
    parts = [path.relative_to(settings.data_dir).parts for path in paths]
    return [f"{one[1]}/{one[-1]}" if one[0] == "files" else "/".join(one[:2]) for one in parts]


def test_damaged_files_are_replaced_by_those_of_an_earlier_backup(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    fill_history(context)
    keeper.backup()
    good, saved = files_of(context.settings.data_dir), keeper.contents()
    damaged = damage_each_kind(context)
    for options in ((), ("--check",), ("--keep", "1")):
        said = keeper.backup(*options, fine=False).output
        for name in names_of(context.settings, damaged):
            assert f"warning: {name}: damaged; see: overread verify" in said
        assert "4 files of the service damaged: 4 kept from an earlier backup, 0 left out" in said
    assert keeper.contents() == saved
    keeper.restore(restored)
    assert files_of(restored.data_dir) == good
    with context.sessions() as session:
        noted = [str(one) for one in list_damage(session)]
    assert sorted(noted) == sorted(names_of(context.settings, damaged))


def test_bad_sector_is_damage_and_a_full_disk_is_not(
    keeper: Keeper, context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_history(context)
    with context.sessions() as session:
        image = session.scalars(select(Image).where(Image.state == State.READY)).one()
    bad = context.store.path(str(image.stored_sha256))
    wrong = errno.EIO

    def read(path: Path) -> str:
        if path == bad:
            raise OSError(wrong, os.strerror(wrong))
        return sha256_of(path)

    monkeypatch.setattr(backup_files, "sha256_of", read)
    said = keeper.backup(fine=False).output
    assert "1 file of the service damaged: 0 kept from an earlier backup, 1 left out" in said
    wrong = errno.EMFILE
    assert "left out" not in keeper.backup(fine=False).output


def test_damaged_files_without_a_copy_are_left_out(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    fill_history(context)
    good = files_of(context.settings.data_dir)
    damaged = damage_each_kind(context)
    contents = {path.read_bytes() for path in damaged}
    said = keeper.backup(fine=False).output
    assert "4 files of the service damaged: 0 kept from an earlier backup, 4 left out" in said
    assert not contents & {path.read_bytes() for path in keeper.contents()}
    said = keeper.restore(restored).output
    assert "warning: 4 files left out, damaged when the backup was made" in said
    lost = {path.relative_to(context.settings.data_dir).as_posix() for path in damaged}
    assert files_of(restored.data_dir) == {
        name: content for name, content in good.items() if name not in lost
    }


def test_backup_of_an_older_release_restores_without_its_damaged_files(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    """It saved them under their new checksum."""
    fill_history(context)
    keeper.backup()
    path = keeper.newest() / FILE_LIST
    files = list(Backups(keeper.folder).files(keeper.newest().name))
    bad = next(one for one in files if one.path.startswith("files/stored"))
    other = next(one for one in files if one.path.startswith("networks"))
    write_files(path, [replace(one, sha256=other.sha256) if one is bad else one for one in files])
    sha256 = dict(keeper.manifest().sha256) | {FILE_LIST: sha256_of(path)}
    keeper.rewrite_manifest(damaged=1, sha256=sha256)
    said = keeper.restore(restored).output
    assert "warning: 1 file left out, damaged when the backup was made" in said
    good = files_of(context.settings.data_dir)
    assert good.keys() - files_of(restored.data_dir).keys() == {bad.path}
