"""What nobody means to send."""

import pytest

from pipeline.files.sniff import is_junk


@pytest.mark.parametrize(
    "name", ["cd/DICOMDIR", "a/__MACOSX/b.png", "d/.DS_Store", "x\\Thumbs.db", "s/._a.png"]
)
def test_junk(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize("name", ["dicomdir.dcm", "a/b.png", "thumbs.db.png", "", "macosx/a"])
def test_pictures_are_none(name: str) -> None:
    assert not is_junk(name)
