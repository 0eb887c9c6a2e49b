from dataclasses import replace
from pathlib import Path

import pytest

from cli.errors import Failed
from cli.predict.overlays import OverlayFolder, overlay_name
from cli.predict.reader import Item
from pipeline.decode.decode import decode
from pipeline.drawing import display_levels, overlay_png
from pipeline.prepare.pool import DecoderPool
from tests.support.data.builders import make_png
from tests.support.data.rows import a_prediction


def test_overlay_is_upright_as_the_image_was_read(tmp_path: Path) -> None:
    path = make_png(tmp_path / "a.png")
    overlays = OverlayFolder(tmp_path / "overlays")
    prediction = replace(a_prediction(), orientation=5)
    with DecoderPool(processes=1, timeout_s=20) as pool:
        overlays.draw(Item("a.png", "ab" * 32, path), prediction, pool=pool)
    (drawn,) = (tmp_path / "overlays").iterdir()
    expected = overlay_png(display_levels(decode(path)), prediction.heatmap, orientation=5)
    assert drawn.read_bytes() == expected


def test_overlay_on_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    item = Item("a.png", "ab" * 32, make_png(tmp_path / "a.png"))
    folder = tmp_path / "overlays"
    overlays = OverlayFolder(folder)
    (folder / overlay_name(item.file, item.sha256)).symlink_to("/dev/full")
    full = pytest.raises(Failed, match="cannot be written: No space left on device")
    with DecoderPool(processes=1, timeout_s=20) as pool, full as refused:
        overlays.draw(item, a_prediction(), pool=pool)
    assert str(refused.value).startswith(f"{folder}: ")
