from pathlib import Path

import pytest

from cli.errors import Failed
from cli.predict.overlays import OverlayFolder, overlay_name
from cli.predict.reader import Item
from pipeline.prepare.pool import DecoderPool
from tests.support.data.builders import make_png
from tests.support.data.rows import a_prediction


def test_overlay_on_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    item = Item("a.png", "ab" * 32, make_png(tmp_path / "a.png"))
    folder = tmp_path / "overlays"
    overlays = OverlayFolder(folder)
    (folder / overlay_name(item.file, item.sha256)).symlink_to("/dev/full")
    full = pytest.raises(Failed, match="cannot be written: No space left on device")
    with DecoderPool(processes=1, timeout_s=20) as pool, full as refused:
        overlays.draw(item, a_prediction(), pool=pool)
    assert str(refused.value).startswith(f"{folder}: ")
