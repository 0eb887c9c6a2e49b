"""Model versions made of the shipped network, with cards of the test's own choice."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.version_folder import BASELINE, CARD_FILE, CHECKSUMS_FILE, write_folder

BOTH_POINTS = {"balanced": 0.5, "sensitive": 0.2}


def a_card(
    name: str, *, points: Mapping[str, float] = BOTH_POINTS, **further: Any
) -> dict[str, Any]:
    """Of format 2, whichever format the shipped one has."""
    card = json.loads((BASELINE / CARD_FILE).read_text())
    for old in ("threshold", "threshold_rule"):
        card.pop(old, None)
    return card | {
        "format": 2,
        "model_version": name,
        "operating_points": {
            point: {"threshold": threshold, "rule": f"the rule of {point}"}
            for point, threshold in points.items()
        },
        "warning_limit": 0.3,
        "warning": "somewhat unlike the training images",
        **further,
    }


def make_version(folder: Path, **card: Any) -> Path:
    """Written as a training writes it; named after its folder."""

    def fill(partial: Path) -> None:
        for path in BASELINE.iterdir():
            if path.name not in (CARD_FILE, CHECKSUMS_FILE):
                shutil.copy(path, partial)
        (partial / CARD_FILE).write_text(json.dumps(a_card(folder.name, **card)))

    return write_folder(folder, fill=fill)
