"""Generated chest radiographs that show no one, for demos and tests.

A statistical model of registered training images (mean and principal components per class, see
`benchmarks/fit_phantom.py`) is drawn from with Gaussian weights; pose, exposure, fine texture,
collimation and side marker are drawn on top.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pipeline.phantom_detail import FINE, SIDE, draw_detail, sharpen
from pipeline.types import Finding

Picture = NDArray[np.float32]
SPREAD = 0.75  # of the patients' spread: far tails look like no chest
MARK = "SYNTHETIC"
SHARPEN = {"normal": 1.4, "pneumonia": 0.6}
APART = 1.0  # blurred means differ less than the patients did: the normal one moves this far on


def draw_phantom(
    *, seed: int, finding: Finding, size: tuple[int, int] = (1024, 1024)
) -> NDArray[np.uint8]:
    """A frontal chest radiograph: uint8 (H, W) for size (H, W), 0 = black.

    The same seed and finding give the same anatomy at every size.
    """
    random = np.random.default_rng([seed, finding == "pneumonia"])
    anatomy = sharpen(_draw_anatomy(random, finding=finding), amount=SHARPEN[finding])
    anatomy += draw_detail(random, anatomy, finding=finding)
    rows, columns = size
    picture = Image.fromarray(anatomy).transform(
        (columns, rows), Image.Transform.AFFINE, _pose(random, size), Image.Resampling.BICUBIC
    )
    exposed = _expose(np.asarray(picture), random)
    grainy = exposed + _grain(size, random)
    return _mark(_collimate(grainy, random), random)


@cache
def _statistics(finding: Finding) -> tuple[Picture, Picture]:
    """mean: (side, side); components: (k, side, side), each one standard deviation long."""
    content = (files("pipeline") / "phantom" / f"{finding}.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        components = arrays["components"].astype(np.float32) * arrays["scales"][:, None, None]
        return arrays["mean"].astype(np.float32), components


def _draw_anatomy(random: np.random.Generator, *, finding: Finding) -> Picture:
    mean, components = _statistics(finding)
    weights = SPREAD * random.standard_normal(len(components)).astype(np.float32)
    # Far tails look like no chest at all.
    weights = np.clip(weights, -1.6, 1.6)
    if finding == "normal":
        mean = mean + APART * (mean - _statistics("pneumonia")[0])
    drawn: Picture = mean + np.tensordot(weights, components, axes=1)
    return drawn


def _pose(random: np.random.Generator, size: tuple[int, int]) -> tuple[float, ...]:
    """Output pixel to anatomy pixel, as Pillow wants it: slight turn, zoom and shift."""
    side = SIDE * FINE
    angle = random.normal(0, 0.025)
    zoom = 0.94 + random.uniform(-0.03, 0.02)
    step_y, step_x = side / size[0] * zoom, side / size[1] * zoom
    a, b = np.cos(angle) * step_x, -np.sin(angle) * step_y
    d, e = np.sin(angle) * step_x, np.cos(angle) * step_y
    shift_x, shift_y = side / 2 + random.normal(0, 0.012, 2) * side
    return (
        a, b, shift_x - a * size[1] / 2 - b * size[0] / 2,
        d, e, shift_y - d * size[1] / 2 - e * size[0] / 2,
    )  # fmt: skip


def _expose(picture: Picture, random: np.random.Generator) -> Picture:
    level = 0.5 + random.normal(0, 0.02)
    contrast = random.uniform(0.95, 1.15)
    exposed = np.clip((picture - 0.5) * contrast + level, 0.02, 0.98)
    toned: Picture = (exposed ** random.uniform(0.9, 1.15)).astype(np.float32)
    return toned


def _grain(size: tuple[int, int], random: np.random.Generator) -> Picture:
    """Quantum noise, a little of it correlated by the detector's blur."""
    fine = random.standard_normal(size).astype(np.float32)
    coarse = random.standard_normal((size[0] // 2 + 1, size[1] // 2 + 1)).astype(np.float32)
    widened = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
    grain: Picture = (0.008 * fine + 0.014 * np.asarray(widened)).astype(np.float32)
    return grain


def _collimate(picture: Picture, random: np.random.Generator) -> Picture:
    """Blacken an unexposed border of up to one per cent, on one phantom in three."""
    rows, columns = picture.shape
    width = float(random.random() < 1 / 3)
    top, bottom = (width * random.uniform(0, 0.01, 2) * rows).astype(int)
    left, right = (width * random.uniform(0, 0.01, 2) * columns).astype(int)
    mask = np.zeros((rows, columns), np.uint8)
    mask[top : rows - bottom, left : columns - right] = 255
    soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(rows / 600))
    collimated: Picture = picture * (np.asarray(soft, np.float32) / np.float32(255))
    return collimated


def _mark(picture: Picture, random: np.random.Generator) -> NDArray[np.uint8]:
    """The side marker that radiographers lay on the detector, and what this picture is."""
    rows, columns = picture.shape
    image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    letter = ImageFont.load_default(size=max(10, rows / 22))
    place = (columns * random.uniform(0.06, 0.09), rows * random.uniform(0.06, 0.12))
    pen.text(place, "R", fill=235, font=letter)
    small = ImageFont.load_default(size=max(9, rows / 48))
    pen.text((columns * 0.985, rows * 0.985), MARK, fill=225, font=small, anchor="rs")
    return np.asarray(image)
