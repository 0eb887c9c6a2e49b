from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.atomic_file import file_group, new_folder, temporary_file, write_file


def test_write_file_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_file(target, b"the first version")
    write_file(target, [b"the ", b"second"])
    assert target.read_bytes() == b"the second"
    assert list(tmp_path.iterdir()) == [target]


def test_write_file_without_replace_keeps_the_first(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a", b"second", replace=False)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_temporary_file_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError), temporary_file(tmp_path) as temporary:
        temporary.file.writelines([b"half", None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_group_get_their_names_at_its_end(tmp_path: Path) -> None:
    with file_group(tmp_path) as group:
        for name in ("a", "b", "a"):
            group.write(tmp_path / name, name.encode())
        assert not (tmp_path / "a").exists()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"a", "b": b"b"}


def test_group_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), file_group(tmp_path) as group:  # noqa: PT012
        group.write(tmp_path / "a", b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_first_of_two_new_folders_appears_whole_and_the_other_leaves_nothing(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a" / "folder"
    later = ExitStack()
    (later.enter_context(new_folder(target)) / "file").write_text("y")
    with new_folder(target) as partial:
        (partial / "inside").mkdir()
        (partial / "inside" / "file").write_text("x")
        assert not target.exists()
    with pytest.raises(FileExistsError):
        later.close()
    assert [path.name for path in target.parent.iterdir()] == ["folder"]
    assert (target / "inside" / "file").read_text() == "x"
