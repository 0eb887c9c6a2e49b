"""Damaged backups: later ones succeed, and replace what they can; a restore refuses."""

from pathlib import Path

import pytest

from models.config.settings import Settings
from models.context import AppContext
from models.operations.backup_folder import FILE_LIST, MANIFEST
from tests.support.data.kept import fill_history
from tests.support.servers.keeper import Keeper, files_of, loose_ends


def rot(path: Path) -> None:
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])


@pytest.mark.parametrize("name", [FILE_LIST, MANIFEST])
def test_later_backup_succeeds_beside_a_damaged_one(
    keeper: Keeper, context: AppContext, restored: Settings, name: str
) -> None:
    fill_history(context)
    keeper.backup()
    damaged, contents = keeper.newest(), keeper.contents()
    rot(damaged / name)
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
    rot(second / FILE_LIST)
    said = keeper.backup("--keep", "2").output
    assert f"Deleted 1 older backup and no files: {second / FILE_LIST}: damaged" in said
    assert keeper.contents() == contents
    assert not first.exists()


def test_check_replaces_damaged_files_of_earlier_backups(
    keeper: Keeper, context: AppContext, restored: Settings
) -> None:
    fill_history(context)
    keeper.backup()
    rot(keeper.contents()[3])
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
        rot(path)
    said = keeper.restore(restored, fine=False).output
    total = len(files_of(context.settings.data_dir))
    assert f"2 of {total} files are missing or damaged: " in said
    assert all(str(path) in said for path in damaged)
    assert "; nothing was restored" in said
    assert [left.name for left in restored.data_dir.iterdir()] == ["supervisor.lock"]
