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
from pipeline.evaluation.population_calibration import DEFAULT_POPULATION, Calibrations
from pipeline.familiarity.distance import LIMIT, WARNING_LIMIT
from pipeline.familiarity.fit import UNFAMILIARITY_RULE
from pipeline.inference.version_folder import CARD_FILE, FORMAT
from pipeline.reports.model_card import render_model_card
from pipeline.types import PREPROCESSING, Calibration

CALIBRATION = "temperature scaling on validation patients, for a prevalence of one half"
LIBRARIES = ("tensorflow", "keras", "openvino", "numpy", "pillow")


def make_card(
    config: Mapping[str, Any],
    *,
    data: Mapping[str, Any],
    calibrations: Calibrations,
    heatmap_size: tuple[int, ...],
    groups: tuple[str, ...],
    curves: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the whole of card.json but what is measured, by the name of the images: `metrics` as
    of `evaluate`, `subgroups` as of `summary`, `decision_curves` as of `decision_curve`.

    config: the training's, as JSON. data: `describe_images` by split. heatmap_size: (h, w).
    groups: parts of the validation images in each of which temperature and thresholds hold.
    curves: the learning curves.
    """
    apart = {name: _as_json(one, config, groups=groups) for name, one in calibrations.apart.items()}
    populations = {"populations": apart, "default_population": DEFAULT_POPULATION} if apart else {}
    whole = (
        apart[DEFAULT_POPULATION]
        if apart
        else _as_json(calibrations.together, config, groups=groups)
    )
    calibration = _with_groups(CALIBRATION, "; equal weights of ", groups)
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
        **whole,
        "calibration": "; ".join(filter(None, (calibration, calibrations.reason))),
        **populations,
        "unfamiliarity_limit": LIMIT,
        "warning_limit": WARNING_LIMIT,
        "warning": config["unfamiliar_warning"],
        "unfamiliarity_rule": UNFAMILIARITY_RULE,
        "metrics": {},
        "subgroups": {},
        "decision_curves": {},
        "data": dict(data),
        "population": config["population"],
        "known_limits": list(config["known_limits"]),
        "config": dict(config),
        "learning_curves": dict(curves),
        "learning_curves_file": "learning_curves.svg",
        "libraries": {name: _version(name) for name in libraries},
        "git_commit": _git_commit(),
    }


def _as_json(
    one: Calibration, config: Mapping[str, Any], *, groups: tuple[str, ...]
) -> dict[str, Any]:
    points = {
        name: {
            "threshold": threshold,
            "rule": _with_groups(
                THRESHOLD_RULE.format(floor=config[f"{name}_floor"]),
                ", and in each of these alone: ",
                groups,
            ),
        }
        for name, threshold in one.thresholds.items()
    }
    return {"temperature": one.temperature, "offset": one.offset, "operating_points": points}


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
