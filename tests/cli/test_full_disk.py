"""What had no room is named, not what was to be copied there."""

import errno
from pathlib import Path

import pytest

from cli.fatal import Failed
from cli.files import sha256_of
from cli.overlays import overlay_name
from cli.plain_words import in_plain_words
from tests.builders import make_png
from tests.command import run


def test_the_folder_that_is_full_is_named() -> None:
    with (
        pytest.raises(Failed, match=r"^backups: No space left on device; nothing was saved$"),
        in_plain_words(Path("backups"), outcome="nothing was saved"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", "data/secrets.json")


def test_no_room_for_an_overlay_is_one_line(tmp_path: Path) -> None:
    picture, overlays = make_png(tmp_path / "a.png"), tmp_path / "overlays"
    overlays.mkdir()
    (overlays / overlay_name("a.png", sha256_of(picture))).symlink_to("/dev/full")
    refused = run("predict", picture, "--overlays", overlays)
    assert refused.exit_code == 1
    said = f"Error: {overlays}: cannot be written: No space left on device\n"
    assert refused.stderr == said
