"""Walking through the paths that a command is given."""

import contextlib
import os
from pathlib import Path

import pytest

from cli.errors import UsageProblem
from cli.walk import Walk


def make(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")


def files(*paths: Path) -> list[str]:
    return [source.file for source in Walk(paths)]


def test_walk_sorts_files_and_names_them_after_the_folder(tmp_path: Path) -> None:
    make(tmp_path / "in/b/2.dcm", tmp_path / "in/a.dcm", tmp_path / "in/b/1.dcm")

    assert files(tmp_path / "in") == ["in/a.dcm", "in/b/1.dcm", "in/b/2.dcm"]


def test_walk_leaves_out_and_counts_junk(tmp_path: Path) -> None:
    make(
        *(tmp_path / "in" / name for name in ("a.dcm", ".DS_Store", "Thumbs.db", "__MACOSX/a.dcm"))
    )
    walk = Walk([tmp_path / "in"])

    assert walk.count() == 1
    assert walk.left_out() == ("left out: 3 hidden or junk files (.DS_Store, Thumbs.db, __MACOSX)")


def test_walk_follows_links_only_inside_the_folder(tmp_path: Path) -> None:
    make(tmp_path / "secret.dcm", tmp_path / "in/a.dcm", tmp_path / "else/b.dcm")
    (tmp_path / "in/inside.dcm").symlink_to(tmp_path / "in/a.dcm")
    (tmp_path / "in/outside.dcm").symlink_to(tmp_path / "secret.dcm")
    (tmp_path / "in/folder").symlink_to(tmp_path / "else")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/circular").symlink_to("circular")  # opening it tells why
    walk = Walk([tmp_path / "in"])

    assert [source.file for source in walk] == ["in/a.dcm", "in/circular", "in/inside.dcm"]
    assert walk.left_out() == (
        "left out: 2 links that lead out of the folder (folder, outside.dcm), "
        "1 link to a folder that is read where it is (loop)"
    )


def test_walk_yields_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    make(tmp_path / "in/z.dcm")
    deep = tmp_path / "in"
    with contextlib.chdir(deep):
        for _ in range(17):  # until its whole path is longer than the kernel takes
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
    *found, last = files(tmp_path / "in")

    assert last == "in/z.dcm"
    assert [name.rsplit("/", 1)[1] for name in found] == ["d" * 250]


def test_walk_does_not_open_pipes(tmp_path: Path) -> None:
    make(tmp_path / "in/a.dcm")
    os.mkfifo(tmp_path / "in/pipe")

    walk = Walk([tmp_path / "in"])
    assert [source.file for source in walk] == ["in/a.dcm"]
    assert walk.left_out() == "left out: 1 pipe, socket or device (pipe)"
    with pytest.raises(UsageProblem, match="pipe: neither a file nor a folder"):
        Walk([tmp_path / "in/pipe"])


def test_walk_escapes_control_characters_in_names(tmp_path: Path) -> None:
    for name in (
        b"esc\x1b[31m",
        b"latin\xe9",
        b"latin\xe8",
        b"two\nlines",
        "turned\u202e".encode(),
        "ß".encode(),
    ):
        (tmp_path / os.fsdecode(name)).touch()

    shown = [name.rsplit("/", 1)[1] for name in files(tmp_path)]
    assert shown == [
        "esc\ufffd1B[31m",
        "latin\ufffdE8",
        "latin\ufffdE9",
        "turned\ufffdE2\ufffd80\ufffdAE",
        "two\ufffd0Alines",
        "ß",
    ]


def test_walk_names_files_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "studies/p1/a.dcm", tmp_path / "studies/p2/a.dcm")
    monkeypatch.chdir(tmp_path)

    given = [Path("studies/p1/a.dcm"), Path("studies/p2/a.dcm")]
    assert files(*given) == ["studies/p1/a.dcm", "studies/p2/a.dcm"]
    # Absolute: no more of the path than tells them apart.
    assert files(*(path.absolute() for path in given)) == ["p1/a.dcm", "p2/a.dcm"]
    assert files(given[0].absolute()) == ["a.dcm"]
    assert files(*(path.absolute().parent for path in given)) == ["p1/a.dcm", "p2/a.dcm"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_walk_refuses_missing_and_empty_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageProblem, match=name):
        Walk([tmp_path / name]).count()
