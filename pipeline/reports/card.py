"""card.json: what a model version is, how it was made, and how it performs."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import THRESHOLD_RULE
from pipeline.familiarity.distance import LIMIT, WARNING_LIMIT
from pipeline.familiarity.fit import UNFAMILIARITY_RULE
from pipeline.inference.version_folder import CARD_FILE, FORMAT
from pipeline.reports.model_card import render_model_card
from pipeline.types import PREPROCESSING, OperatingPoint

CALIBRATION = "temperature scaling on validation patients, for a prevalence of one half"
LIBRARIES = ("tensorflow", "keras", "openvino", "numpy", "pillow")


def make_card(
    config: Mapping[str, Any],
    *,
    data: Mapping[str, Any],
    temperature: float,
    thresholds: Mapping[OperatingPoint, float],
    heatmap_size: tuple[int, ...],
    groups: tuple[str, ...],
    curves: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the whole of card.json but its metrics, an `evaluate` by the name of the images.

    config: the training's, as JSON. data: `describe_images` by split. heatmap_size: (h, w).
    groups: parts of the validation images in each of which temperature and thresholds hold.
    curves: the learning curves.
    """
    libraries = (*LIBRARIES, "nncf") if config["precision"] == "int8" else LIBRARIES
    return {
        "format": FORMAT,
        "model_version": config["model_version"],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "architecture": f"MobileNetV2 {config['alpha']} with one dense unit on pooled features",
        "preprocessing": PREPROCESSING,
        "precision": config["precision"],
        "network_input": [config["size"], config["size"]],
        "heatmap": list(heatmap_size),
        "temperature": temperature,
        "calibration": _with_groups(CALIBRATION, "; equal weights of ", groups),
        "operating_points": {
            name: {
                "threshold": threshold,
                "rule": _with_groups(
                    THRESHOLD_RULE.format(floor=config[f"{name}_floor"]),
                    ", and in each of these alone: ",
                    groups,
                ),
            }
            for name, threshold in thresholds.items()
        },
        "unfamiliarity_limit": LIMIT,
        "warning_limit": WARNING_LIMIT,
        "warning": config["unfamiliar_warning"],
        "unfamiliarity_rule": UNFAMILIARITY_RULE,
        "metrics": {},
        "data": dict(data),
        "population": config["population"],
        "known_limits": list(config["known_limits"]),
        "config": dict(config),
        "learning_curves": dict(curves),
        "learning_curves_file": "learning_curves.svg",
        "libraries": {name: _version(name) for name in libraries},
        "git_commit": _git_commit(),
    }


def _with_groups(sentence: str, more: str, groups: tuple[str, ...]) -> str:
    return sentence + more + ", ".join(groups) if groups else sentence


def describe_images(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], patients: NDArray[np.str_]
) -> dict[str, Any]:
    """Count images and patients; the hash names exactly these pixels and labels, in any order.

    images: uint8 (n, size, size). labels: (n,), 1 = pneumonia. patients: (n,).
    """
    rows = zip(patients, labels, images, strict=True)
    digests = sorted(
        hashlib.sha256(f"{patient}\0{label}\0".encode() + image.tobytes()).digest()
        for patient, label, image in rows
    )
    return {
        "images": len(images),
        "patients": len(np.unique(patients)),
        "pneumonia_images": int((labels == 1).sum()),
        "sha256": hashlib.sha256(b"".join(digests)).hexdigest(),
    }


def write_card(card: Mapping[str, Any], folder: Path) -> None:
    """Write card.json for programs, and MODEL_CARD.md for people, made from it."""
    text = json.dumps(card, indent=2) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(render_model_card(card), encoding="utf-8")


def _version(distribution: str) -> str | None:
    for name in (distribution, f"{distribution}-cpu"):  # tensorflow-cpu is TensorFlow, too
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def _git_commit() -> str | None:
    """The commit of the training code, if in a git working tree."""
    command = ["git", "rev-parse", "HEAD"]
    here = Path(__file__).parent
    try:
        found = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
