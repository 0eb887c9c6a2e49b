"""Zip archives: every member has its fate, and no name leads anywhere."""

import stat
import zipfile
from pathlib import Path

import pytest

from pipeline.archive import ArchiveLimits, is_archive, members
from pipeline.archive_name import shown_name
from pipeline.decode import decode
from pipeline.errors import RefusedError
from tests.builders import encoded, make_picture

PNG = encoded(make_picture(), "PNG")


def make_zip(path: Path, files: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def fates(path: Path, **limits: float) -> dict[str, str | bytes]:
    """Return each member's content, or why there is none, by its shown name."""
    found: dict[str, str | bytes] = {}
    for member in members(path, limits=ArchiveLimits(**limits)):
        try:
            with member.open() as stream:
                found[member.name] = stream.read()
        except RefusedError as refusal:
            found[member.name] = str(refusal)
    return found


def test_good_members_in_order_without_folders_and_junk(tmp_path: Path) -> None:
    path = make_zip(
        tmp_path / "x.zip",
        [
            ("study/", b""),
            ("study/b.png", PNG),
            ("__MACOSX/study/._b.png", b"junk"),
            ("study/._b.png", b"junk"),
            ("study/.DS_Store", b"junk"),
            ("Thumbs.db", b"junk"),
            ("a.txt", b"text"),
        ],
    )
    assert list(fates(path).items()) == [("study/b.png", PNG), ("a.txt", b"text")]


def test_names_that_lead_outside_are_refused(tmp_path: Path) -> None:
    names = ["../x.png", "a/../../x.png", "..\\x.png", "/etc/x.png", "\\x.png", "C:\\x.png"]
    path = make_zip(tmp_path / "x.zip", [(name, PNG) for name in names])
    found = list(fates(path).values())
    assert found[:3] == ["its name leads out of the archive ('..')"] * 3
    assert found[3:] == ["its name is an absolute path"] * 3


def test_links_empty_files_and_nested_archives_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make_zip(
        tmp_path / "x.zip",
        [(link, b"/etc/passwd"), ("empty.png", b""), ("inner.ZIP", b"PK"), ("ok.png", PNG)],
    )
    assert fates(path) == {
        "link.png": "it is a link or another special file",
        "empty.png": "the file is empty",
        "inner.ZIP": "it is a zip archive inside a zip archive",
        "ok.png": PNG,
    }


def test_a_name_that_comes_twice_is_two_files(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("a.png", b"other")])
    assert fates(path) == {"a.png": PNG, "a.png (2)": b"other"}


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("zeros.png", bytes(30_000_000)), ("ok.png", PNG)])
    assert fates(path)["zeros.png"] == "it unpacks to more than 200 times its size"
    assert fates(path, max_member_bytes=1000) == {
        "zeros.png": "it unpacks to more than 1000 bytes",
        "ok.png": "it unpacks to more than 1000 bytes",
    }
    with pytest.raises(RefusedError, match="unpacks to more than 1000000 bytes"):
        fates(path, max_bytes=1_000_000)
    with pytest.raises(RefusedError, match="holds 2 files, expected at most 1"):
        fates(path, max_files=1)


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As in the bomb of overlapping files: two directory entries for one content."""
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.png", PNG)])
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)  # its local header is now the first one
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="entries overlap"):
        fates(path)


def test_damaged_member_does_not_harm_the_others(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG), ("b.png", PNG)])
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert fates(path) == {"a.png": "the archive is damaged at this file", "b.png": PNG}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RefusedError, match="directory cannot be read"):
        fates(path)


def test_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="holds no files"):
        fates(make_zip(tmp_path / "x.zip", []))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\\b\\c.png", "a/b/c.png"),
        ("../../x.png", "x.png"),
        ("a\x1b[31m.png", "a\N{REPLACEMENT CHARACTER}[31m.png"),
        ("gnp.\u202exe", "gnp.\N{REPLACEMENT CHARACTER}xe"),
        ("Röntgen/ü.png", "Röntgen/ü.png"),
        ("", "(no name)"),
    ],
)
def test_shown_names(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_a_picture_with_an_archive_behind_it_is_a_picture(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", [("a.png", PNG)])
    assert is_archive(path.read_bytes())
    assert not is_archive(PNG + path.read_bytes())


@pytest.mark.shared
def test_shared_archives(shared_data: Path, tmp_path: Path) -> None:
    """Every member of every archive ends decoded or refused; what is good decodes."""
    decoded: dict[str, int] = {}
    for path in sorted(shared_data.glob("hostile/archive*/*")):
        if not is_archive(path.read_bytes()[:4]):
            continue
        decoded[path.name] = 0
        try:
            found = list(members(path))
        except RefusedError:
            continue
        for member in members(path):
            try:
                with member.open() as stream:
                    (tmp_path / "x").write_bytes(stream.read())
                decode(tmp_path / "x")
            except RefusedError:
                continue
            decoded[path.name] += 1
        assert len({member.name for member in found}) == len(found), path.name
    assert {name: count for name, count in decoded.items() if count} == {
        "s_cp437_names.zip": 1,
        "s_duplicate_names.zip": 3,
        "s_good_mixed.zip": 4,
        "s_good_with_one_bad.zip": 2,
        "s_symlink_etc_passwd.zip": 1,
        "s_traversal_dotdot.zip": 1,
        "s_zip_named.png": 1,
    }
    assert len(decoded) == 29
