"""Model versions made from the shipped network, with other cards."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.guard import FAMILIARITY_FILE
from pipeline.inference.version_folder import BASELINE, CARD_FILE, CHECKSUMS_FILE, write_folder

BOTH_POINTS = {"balanced": 0.5, "sensitive": 0.2}
# Entries of a card of format 3, whose adults are read apart from children.
APART: Mapping[str, Any] = {
    "format": 3,
    "default_population": "children",
    "populations": {
        "children": {
            "temperature": 1.1,
            "offset": 0.0,
            "operating_points": {"balanced": {"threshold": 0.54}, "sensitive": {"threshold": 0.24}},
        },
        "adults": {
            "temperature": 2.0,
            "offset": -8.0,
            "operating_points": {"balanced": {"threshold": 0.7}, "sensitive": {"threshold": 0.4}},
        },
    },
}


def a_card(
    name: str, *, points: Mapping[str, float] = BOTH_POINTS, **further: Any
) -> dict[str, Any]:
    """Return a card of format 2, whatever the shipped card's format."""
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
    """Write a version's folder as training does; the folder's name is the version's."""
    return _write(folder, a_card(folder.name, **card))


def make_first_format(folder: Path) -> Path:
    """As written by the first release: one threshold, features as roots, no orientation."""
    arrays = dict(np.load(BASELINE / FAMILIARITY_FILE))
    names = [n for n in arrays if not n.endswith("_scale") and not n.startswith("orientation")]
    card = a_card(folder.name) | {"format": 1, "threshold": 0.41, "threshold_rule": "a rule"}
    for new in ("operating_points", "warning", "warning_limit"):
        card.pop(new)
    return _write(folder, card, familiarity={name: arrays[name] for name in names})


def _write(
    folder: Path, card: dict[str, Any], *, familiarity: dict[str, NDArray[Any]] | None = None
) -> Path:
    def fill(partial: Path) -> None:
        for path in BASELINE.iterdir():
            if path.name != CHECKSUMS_FILE:
                shutil.copy(path, partial)
        (partial / CARD_FILE).write_text(json.dumps(card))
        if familiarity is not None:
            np.savez(partial / FAMILIARITY_FILE, **familiarity)  # type: ignore[arg-type]

    return write_folder(folder, fill=fill)
