"""Backups in which something rotted: later ones go on, and mend what they can."""

from pathlib import Path

import pytest

from cli.admin.backup_folder import FILE_LIST, MANIFEST
from models.config.settings import Settings
from models.context import AppContext
from tests.support.data.kept import fill_history
from tests.support.servers.keeper import Keeper, files_of, loose_ends

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def rot(path: Path) -> None:
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])


@pytest.mark.parametrize("name", [FILE_LIST, MANIFEST])
def test_a_damaged_list_stops_no_later_backup(
    keeper: Keeper, context: AppContext, tmp_path: Path, name: str
) -> None:
    fill_history(context)
    keeper.backup()
    damaged, contents = keeper.newest(), keeper.contents()
    rot(damaged / name)
    said = keeper.backup()
    assert f"{damaged / FILE_LIST}: damaged; that backup cannot be restored" in said.output
    assert keeper.contents() == contents, "what it has saved is not saved again"
    restored = Settings(data=tmp_path / "restored", database_url="")
    assert "damaged" in keeper.restore(restored, "--from", damaged.name, fine=False).output
    keeper.restore(restored)
    assert files_of(restored.data_dir) == files_of(context.settings.data_dir)


def test_no_file_is_deleted_while_a_list_cannot_be_read(
    keeper: Keeper, context: AppContext
) -> None:
    keeper.backup()
    first = keeper.newest()
    fill_history(context)
    keeper.backup()
    second, contents = keeper.newest(), keeper.contents()
    rot(second / FILE_LIST)
    said = keeper.backup("--keep", "2").output
    assert f"Deleted 1 older backups, and no files: {second / FILE_LIST}: damaged" in said
    assert keeper.contents() == contents
    assert not first.exists()


def test_what_rotted_in_the_backup_is_saved_anew(
    keeper: Keeper, context: AppContext, tmp_path: Path
) -> None:
    fill_history(context)
    keeper.backup()
    rot(keeper.contents()[3])
    assert "warning" not in keeper.backup().output, "it costs a look at every byte"
    said = keeper.backup("--check").output
    assert "1 saved files were damaged, and were saved anew" in said
    restored = Settings(data=tmp_path / "restored", database_url="")
    keeper.restore(restored)
    assert loose_ends(restored) == []


def test_what_nobody_can_mend_keeps_nothing_else_from_coming_back(
    keeper: Keeper, context: AppContext, tmp_path: Path
) -> None:
    fill_history(context)
    keeper.backup()
    before = files_of(context.settings.data_dir)
    lost = next(path for path in sorted(before) if path.startswith("files/stored/"))
    rot(keeper.folder / "files" / Path(lost).name[:2] / Path(lost).name)
    restored = Settings(data=tmp_path / "restored", database_url="")
    said = keeper.restore(restored, fine=False).output
    assert "--without-damaged restores all others; nothing was restored" in said
    said = keeper.restore(restored, "--without-damaged").output
    assert f"1 files were damaged or missing and did not come back, the first is {lost}" in said
    assert files_of(restored.data_dir) == {p: c for p, c in before.items() if p != lost}
    assert all("its picture is gone" in line for line in loose_ends(restored))
