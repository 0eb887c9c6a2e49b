"""Walking through folders of labelled images, whose links are followed."""

import os
from pathlib import Path

import pytest

from pipeline.files.walk import FolderWalk, LeftOut


def walked(folder: Path, *, follow: bool = True) -> tuple[list[str], str | None]:
    left_out = LeftOut()
    walk = FolderWalk(folder, left_out, follow=follow)
    return [path.relative_to(folder).as_posix() for path in walk], left_out.describe()


def make(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")


def test_linked_files_and_folders_are_read(tmp_path: Path) -> None:
    make(tmp_path / "pool/b.png", tmp_path / "pool/deep/c.PNG", tmp_path / "in/a.png")
    (tmp_path / "in/file.png").symlink_to(tmp_path / "pool/b.png")
    (tmp_path / "in/folder").symlink_to(tmp_path / "pool")
    assert walked(tmp_path / "in") == (
        ["a.png", "file.png", "folder/b.png", "folder/deep/c.PNG"],
        None,
    )


def test_loops_end_and_are_told(tmp_path: Path) -> None:
    make(tmp_path / "in/a.png", tmp_path / "pool/b.png")
    (tmp_path / "in/itself").symlink_to(tmp_path / "in")
    (tmp_path / "in/parent").symlink_to("..")
    (tmp_path / "in/pool").symlink_to(tmp_path / "pool")
    (tmp_path / "in/pool again").symlink_to(tmp_path / "pool")
    (tmp_path / "pool/back").symlink_to(tmp_path / "in")
    found, left_out = walked(tmp_path / "in")
    assert found == ["a.png", "pool/b.png"]
    assert left_out == (
        "left out: 3 links to folders that are read where they are "
        "(itself, pool/back, pool again), 1 link to a folder around one that is read (parent)"
    )


@pytest.mark.parametrize("follow", [False, True])
def test_linked_hidden_folder_is_read(tmp_path: Path, follow: bool) -> None:
    make(tmp_path / "a.png", tmp_path / ".pool/b.png")
    (tmp_path / "linked").symlink_to(".pool")
    (tmp_path / ".pool/loop").symlink_to("../.pool")
    found, left_out = walked(tmp_path, follow=follow)
    assert found == ["a.png", "linked/b.png"]
    assert left_out == (
        "left out: 1 hidden or junk file (.pool), "
        "1 link to a folder that is read where it is (linked/loop)"
    )


def test_what_is_no_file_is_told_with_examples(tmp_path: Path) -> None:
    make(*(tmp_path / f".{n}" for n in range(7)))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circular").symlink_to("circular")
    found, left_out = walked(tmp_path)
    assert found == ["broken", "circular"], "opening them tells why"
    assert left_out == (
        "left out: 7 hidden or junk files (.0, .1, .2, .3, .4, ...), "
        "1 pipe, socket or device (pipe)"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folder_that_may_not_be_read_is_yielded(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert walked(tmp_path) == (["closed"], None)


def test_link_to_a_folder_around_one_that_is_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pool" / "a").mkdir(parents=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "pool" / "a")
    (tmp_path / "in" / "all").symlink_to(tmp_path / "pool")
    (tmp_path / "in" / "parent").symlink_to(tmp_path)
    assert walked(tmp_path / "in") == (
        [],
        "left out: 2 links to folders around one that is read (all, parent)",
    )
