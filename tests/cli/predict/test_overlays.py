from pathlib import Path

import numpy as np
import pytest

from cli.errors import Failed
from cli.predict.overlays import OverlayFolder, overlay_name
from cli.predict.reader import Item
from pipeline.types import HeatmapTrust, Prediction
from tests.support.data.builders import make_png


def test_overlay_on_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    item = Item("a.png", "ab" * 32, make_png(tmp_path / "a.png"))
    folder = tmp_path / "overlays"
    pictures = OverlayFolder(folder)
    (folder / overlay_name(item.file, item.sha256)).symlink_to("/dev/full")
    prediction = Prediction(
        logit=0.0,
        probability=0.5,
        threshold=0.5,
        operating_point="balanced",
        temperature=1.0,
        finding="pneumonia",
        unfamiliarity=0.0,
        reason=None,
        warnings=(),
        heatmap=np.ones((7, 7), np.float32),
        heatmap_trust=HeatmapTrust(1.0, 0.0, 1.0),
        model_version="v1",
    )
    with pytest.raises(Failed, match="cannot be written: No space left on device") as refused:
        pictures.draw(item, prediction)
    assert str(refused.value).startswith(f"{folder}: ")
