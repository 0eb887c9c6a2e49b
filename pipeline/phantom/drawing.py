"""Generated chest radiographs that show no one, for demos and tests.

The anatomy is sampled from a statistical model of registered training images (mean and principal
components per class, see `benchmarks/accuracy/fit_phantom.py`). Detail that the mean has lost
(vessels, ribs, spine, opacities) is drawn into it at `FINE` times its resolution, then pose,
exposure, noise, collimation and side marker.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pipeline.types import Finding

Pixels = NDArray[np.float32]
SIDE = 128
FINE = 5
_SHAPE = (SIDE * FINE, SIDE * FINE)
_HILA = ((49.0, 58.0), (80.0, 60.0))  # where the vessels leave the heart: x, y
VESSELS_PER_LUNG = 9
MARK = "SYNTHETIC"
SHARPEN = {"normal": 1.4, "pneumonia": 0.6}
SPREAD = 0.75  # of the components' standard deviations; far tails do not look like a chest
APART = 1.0  # the normal mean is moved by its difference from pneumonia's, which blurring reduced


def sharpen(anatomy: Pixels, *, amount: float) -> Pixels:
    """Return the anatomy at FINE times its resolution, with stronger edges."""
    fine = np.asarray(Image.fromarray(anatomy).resize(_SHAPE, Image.Resampling.BICUBIC))
    sharp: Pixels = fine + amount * (fine - _blurred(fine, 1.6 * FINE))
    return sharp


def draw_detail(random: np.random.Generator, anatomy: Pixels, *, finding: Finding) -> Pixels:
    """Return detail to add to `anatomy`, both float32 (SIDE * FINE, SIDE * FINE)."""
    lungs = _lungs(anatomy)
    vessels, ribs, spine = _draw_vessels(random), _draw_ribs(random), _draw_spine(random)
    detail: Pixels
    if finding == "normal":
        detail = lungs * (0.06 * vessels + 0.17 * ribs - 0.11) + 0.05 * spine
    else:
        patches = _draw_patches(random)
        detail = lungs * (0.04 * vessels + 0.07 * ribs + 0.10 * patches - 0.03) + 0.03 * spine
    return detail


def _lungs(anatomy: Pixels) -> Pixels:
    """1 in the lungs, 0 outside, with soft edges: dark, and inside the chest's outline."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    outline = np.zeros((SIDE, SIDE), np.float32)
    for middle in (34.0, 94.0):
        outline = np.maximum(outline, 1 - ((x - middle) / 21.5) ** 2 - ((y - 62) / 54) ** 2)
    inside = np.clip(outline * 4, 0, 1)
    fine = np.asarray(Image.fromarray(inside).resize(_SHAPE, Image.Resampling.BILINEAR))
    smooth = _blurred(anatomy, 3.0 * FINE)
    dark = np.clip((0.66 - smooth) / 0.14, 0, 1)
    lungs: Pixels = (fine * dark).astype(np.float32)
    return lungs


def _draw_vessels(random: np.random.Generator) -> Pixels:
    """Branching lines from the hila, thinner and fainter with every fork."""
    image = Image.new("F", _SHAPE, 0.0)
    pen = ImageDraw.Draw(image)
    for side, (x, y) in zip((-1, 1), _HILA, strict=True):
        for _ in range(VESSELS_PER_LUNG):
            angle = random.uniform(-1.25, 1.25)
            start = (x + random.normal(0, 2), y + random.normal(0, 5))
            _grow(pen, random, start, angle=angle, side=side, width=0.9)
    return _blurred(np.asarray(image), 0.4 * FINE)


def _grow(
    pen: ImageDraw.ImageDraw,
    random: np.random.Generator,
    start: tuple[float, float],
    *,
    angle: float,
    side: int,
    width: float,
) -> None:
    """Draw one vessel and its forks. Lengths are in anatomy pixels."""
    x, y = start
    while width > 0.25:
        angle += random.normal(0, 0.16)
        end = (x + 2.2 * side * np.cos(angle), y + 2.2 * np.sin(angle))
        line = [(x * FINE, y * FINE), (end[0] * FINE, end[1] * FINE)]
        pen.line(line, fill=min(1.0, 0.35 + 0.6 * width), width=max(1, round(width * FINE)))
        x, y = end
        width *= 0.93
        if random.random() < 0.13:
            turn = angle + random.choice([-1, 1]) * random.uniform(0.4, 0.8)
            _grow(pen, random, end, angle=turn, side=side, width=0.75 * width)


def _draw_ribs(random: np.random.Generator) -> Pixels:
    """Posterior ribs, and fainter anterior ones that cross them."""
    y, x = np.mgrid[0 : _SHAPE[0], 0 : _SHAPE[1]].astype(np.float32) / FINE
    outwards = np.abs(x - SIDE / 2) / 45
    spacing = random.uniform(9.5, 10.8)
    posterior = y + random.uniform(0, 10) + 6 * outwards - 15 * outwards**2
    anterior = y + random.uniform(0, 10) + 20 * outwards
    lateral = np.clip((outwards - 0.4) / 0.3, 0, 1)
    both = _bands(posterior / spacing) + 0.45 * lateral * _bands(anterior / (1.15 * spacing))
    return _blurred(both.astype(np.float32), 0.4 * FINE)


def _bands(height: Pixels) -> Pixels:
    """One rib per unit of height, with brighter rims than middles; 0 between, up to 1."""
    across = np.abs(height % 1 - 0.5) * 2  # 0 in a rib's middle, 1 between ribs
    inside = np.clip((0.52 - across) / 0.12, 0, 1)
    rims = np.exp(-(((across - 0.42) / 0.10) ** 2))
    bands: Pixels = 0.55 * inside + 0.45 * rims
    return bands


def _draw_spine(random: np.random.Generator) -> Pixels:
    """Vertebral bodies and discs along the middle."""
    y, x = np.mgrid[0 : _SHAPE[0], 0 : _SHAPE[1]].astype(np.float32) / FINE
    middle = SIDE / 2 + random.normal(0, 0.7)
    across = np.clip((6.5 - np.abs(x - middle)) / 1.5, 0, 1)
    rims = np.exp(-(((np.abs(x - middle) - 5.4) / 0.8) ** 2))
    along = y / random.uniform(7.6, 8.6) + random.uniform(0, 1)
    discs = np.clip((0.16 - np.abs(along % 1 - 0.5)) / 0.1, 0, 1)
    fading = np.clip((100 - y) / 30, 0, 1)
    return _blurred((fading * (across * (0.3 - discs) + 0.5 * rims)).astype(np.float32), 0.6 * FINE)


def _draw_patches(random: np.random.Generator) -> Pixels:
    """A few ill-defined opacities."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    patches = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(int(random.integers(2, 5))):
        side = random.choice([-1, 1])
        middle = SIDE / 2 + side * random.uniform(18, 36), random.uniform(40, 88)
        radius = random.uniform(7, 14)
        distance = ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / radius**2
        patches += np.exp(-distance).astype(np.float32)
    cloud = _blurred(random.standard_normal((SIDE, SIDE)).astype(np.float32), 4.0)
    mottled = patches * (1 + 0.35 * cloud / cloud.std())
    image = Image.fromarray(np.clip(mottled, 0, 1.6)).resize(_SHAPE, Image.Resampling.BICUBIC)
    return np.asarray(image)


def _blurred(pixels: Pixels, radius: float) -> Pixels:
    """Blur by resizing to a coarser grid and back: Pillow's filters take 8-bit images only."""
    image = Image.fromarray(pixels)
    rows, columns = (max(4, round(side / (1.3 * radius))) for side in pixels.shape)
    if columns >= pixels.shape[1]:
        return pixels
    coarse = image.resize((columns, rows), Image.Resampling.HAMMING)
    return np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC))


def draw_phantom(
    *, seed: int, finding: Finding, size: tuple[int, int] = (1024, 1024)
) -> NDArray[np.uint8]:
    """Return a frontal chest radiograph, uint8 (H, W) for size (H, W), 0 = black.

    One seed and finding give the same anatomy at every size.
    """
    random = np.random.default_rng([seed, finding == "pneumonia"])
    anatomy = sharpen(_draw_anatomy(random, finding=finding), amount=SHARPEN[finding])
    anatomy += draw_detail(random, anatomy, finding=finding)
    rows, columns = size
    pixels = Image.fromarray(anatomy).transform(
        (columns, rows), Image.Transform.AFFINE, _pose(random, size), Image.Resampling.BICUBIC
    )
    exposed = _expose(np.asarray(pixels), random)
    grainy = exposed + _grain(size, random)
    return _mark(_collimate(grainy, random), random)


@cache
def _statistics(finding: Finding) -> tuple[Pixels, Pixels]:
    """Return mean (side, side) and components (k, side, side) of one standard deviation each."""
    content = (files("pipeline") / "phantom" / f"{finding}.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        components = arrays["components"].astype(np.float32) * arrays["scales"][:, None, None]
        return arrays["mean"].astype(np.float32), components


def _draw_anatomy(random: np.random.Generator, *, finding: Finding) -> Pixels:
    mean, components = _statistics(finding)
    weights = SPREAD * random.standard_normal(len(components)).astype(np.float32)
    weights = np.clip(weights, -1.6, 1.6)
    if finding == "normal":
        mean = mean + APART * (mean - _statistics("pneumonia")[0])
    return mean + np.tensordot(weights, components, axes=1)


def _pose(random: np.random.Generator, size: tuple[int, int]) -> tuple[float, ...]:
    """Affine map from output to anatomy pixels: slight rotation, zoom and shift."""
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


def _expose(pixels: Pixels, random: np.random.Generator) -> Pixels:
    level = 0.5 + random.normal(0, 0.02)
    contrast = random.uniform(0.95, 1.15)
    exposed = np.clip((pixels - 0.5) * contrast + level, 0.02, 0.98)
    toned: Pixels = (exposed ** random.uniform(0.9, 1.15)).astype(np.float32)
    return toned


def _grain(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Quantum noise, partly correlated by the detector's blur."""
    fine = random.standard_normal(size).astype(np.float32)
    coarse = random.standard_normal((size[0] // 2 + 1, size[1] // 2 + 1)).astype(np.float32)
    widened = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
    return (0.008 * fine + 0.014 * np.asarray(widened)).astype(np.float32)


def _collimate(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Black borders of up to one per cent, on one phantom in three."""
    rows, columns = pixels.shape
    width = float(random.random() < 1 / 3)
    top, bottom = (width * random.uniform(0, 0.01, 2) * rows).astype(int)
    left, right = (width * random.uniform(0, 0.01, 2) * columns).astype(int)
    mask = np.zeros((rows, columns), np.uint8)
    mask[top : rows - bottom, left : columns - right] = 255
    soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(rows / 600))
    return pixels * (np.asarray(soft, np.float32) / np.float32(255))


def _mark(pixels: Pixels, random: np.random.Generator) -> NDArray[np.uint8]:
    """The side marker, and the mark of a synthetic image."""
    rows, columns = pixels.shape
    image = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    letter = ImageFont.load_default(size=max(10, rows / 22))
    place = (columns * random.uniform(0.06, 0.09), rows * random.uniform(0.06, 0.12))
    pen.text(place, "R", fill=235, font=letter)
    small = ImageFont.load_default(size=max(9, rows / 48))
    pen.text((columns * 0.985, rows * 0.985), MARK, fill=225, font=small, anchor="rs")
    return np.asarray(image)
