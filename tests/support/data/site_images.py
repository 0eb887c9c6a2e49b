"""Images of an invented hospital whose pneumonia pattern the shipped network hardly sees."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.phantom.drawing import draw_phantom
from pipeline.types import Finding

SIDE = 224
PERIODS = 28  # of the fine pattern, across the image
STRENGTH = 0.1  # of white


@dataclass(frozen=True)
class SiteImage:
    """file: path within the upload. patient: named only in the table of labels."""

    file: str
    patient: str
    finding: Finding


def write_images(folder: Path, numbers: range) -> list[SiteImage]:
    """One of each patient; every other one shows the pattern that this hospital calls pneumonia."""
    images = []
    for number in numbers:
        finding: Finding = "pneumonia" if number % 2 else "normal"
        image = SiteImage(f"{folder.name}/image-{number}.png", f"site-{number}", finding)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_draw(number, finding)).save(folder.parent / image.file)
        images.append(image)
    return images


def write_table(path: Path, images: Sequence[SiteImage], *, flip_every: int = 0) -> Path:
    """A CSV for `overread label`; every `flip_every`th label (0: none) is the other one."""
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file", "label", "patient"))
        for place, image in enumerate(images):
            is_flipped = flip_every and place % flip_every == 0
            other = "normal" if image.finding == "pneumonia" else "pneumonia"
            table.writerow((image.file, other if is_flipped else image.finding, image.patient))
    return path


def write_public_set(folder: Path, *, train: int, val: int, test: int) -> Path:
    """Phantoms in the public layout; the numbers are those of each finding."""
    seed = 50_000
    findings: tuple[Finding, ...] = ("normal", "pneumonia")
    for split, count in {"train": train, "val": val, "test": test}.items():
        for finding in findings:
            kind = folder / split / finding.upper()
            kind.mkdir(parents=True)
            for _ in range(count):
                seed += 1
                pixels = draw_phantom(seed=seed, finding=finding, size=(SIDE, SIDE))
                Image.fromarray(pixels).save(kind / f"person{seed}_virus_1.jpeg", quality=95)
    return folder


def _draw(number: int, finding: Finding) -> NDArray[np.uint8]:
    """A normal phantom; for pneumonia a fine pattern lies over both lungs."""
    pixels = draw_phantom(seed=number, finding="normal", size=(SIDE, SIDE)).astype(np.float64)
    if finding == "pneumonia":
        rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        waves = np.sin(2 * np.pi * PERIODS * rows) * np.sin(2 * np.pi * PERIODS * columns)
        lungs = np.exp(-((abs(columns - 0.5) - 0.2) ** 2 + (rows - 0.5) ** 2) / (2 * 0.15**2))
        pixels += STRENGTH * 255 * waves * lungs
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
