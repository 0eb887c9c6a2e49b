"""Films of an invented hospital: what it calls pneumonia, the shipped network hardly sees."""

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
PERIODS = 28  # of the fine pattern, across the film
STRENGTH = 0.1  # of white


@dataclass(frozen=True)
class Film:
    """file: path within the upload. patient: the table of labels names it, the file does not."""

    file: str
    patient: str
    finding: Finding


def write_films(folder: Path, numbers: range) -> list[Film]:
    """One a patient; every other shows the pattern that this hospital calls pneumonia."""
    films = []
    for number in numbers:
        finding: Finding = "pneumonia" if number % 2 else "normal"
        film = Film(f"{folder.name}/film-{number}.png", f"site-{number}", finding)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_draw(number, finding)).save(folder.parent / film.file)
        films.append(film)
    return films


def write_table(path: Path, films: Sequence[Film], *, flip_every: int = 0) -> Path:
    """A CSV for `overread label`; every so many labels (0: none) are the other one."""
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file", "label", "patient"))
        for place, film in enumerate(films):
            is_flipped = flip_every and place % flip_every == 0
            other = "normal" if film.finding == "pneumonia" else "pneumonia"
            table.writerow((film.file, other if is_flipped else film.finding, film.patient))
    return path


def write_public_set(folder: Path, *, train: int, val: int, test: int) -> Path:
    """Phantoms in the public layout; so many of each finding in each split."""
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
    film = draw_phantom(seed=number, finding="normal", size=(SIDE, SIDE)).astype(np.float64)
    if finding == "pneumonia":
        rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        waves = np.sin(2 * np.pi * PERIODS * rows) * np.sin(2 * np.pi * PERIODS * columns)
        lungs = np.exp(-((abs(columns - 0.5) - 0.2) ** 2 + (rows - 0.5) ** 2) / (2 * 0.15**2))
        film += STRENGTH * 255 * waves * lungs
    return np.clip(np.rint(film), 0, 255).astype(np.uint8)
