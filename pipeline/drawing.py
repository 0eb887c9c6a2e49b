"""PNG images for people: the radiograph, and the heatmap over it."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.limits import DISPLAY_SIDE
from pipeline.types import HEATMAP_FULL_SCALE, DecodedImage
from pipeline.upright import upright, upright_heatmap

# Dark violet through red to yellow: lightness grows steadily from anchor to anchor, so that
# stronger looks brighter, also in print and to colour-blind eyes. The end is a full yellow
# rather than white, which would not show on a dense lung.
ANCHORS = np.array(
    [
        (30, 0, 60),
        (75, 0, 105),
        (125, 10, 115),
        (175, 35, 95),
        (215, 70, 60),
        (240, 115, 25),
        (250, 160, 10),
        (255, 205, 20),
        (255, 245, 70),
    ],
    np.float64,
)
# Shares of the full scale. Below the first nothing is drawn: it would be a trace or interpolation's
# fringe. From the second colour alone tells the strength, or a weak finding would hardly show.
_FLOOR = 0.05
_OPAQUE = 0.5

_STRENGTHS = np.linspace(0, 1, 256)
_PALETTE = np.stack(
    [np.interp(_STRENGTHS, np.linspace(0, 1, len(ANCHORS)), channel) for channel in ANCHORS.T],
    axis=-1,
)
_OPACITIES = np.clip((_STRENGTHS - _FLOOR) / (_OPAQUE - _FLOOR), 0, 1)


def display_levels(image: DecodedImage, *, max_side: int = DISPLAY_SIDE) -> NDArray[np.uint8]:
    """Return uint8 (H, W), 0 = black, in true proportions, no larger than `max_side`."""
    levels = image.levels
    if levels.dtype != np.uint8:
        levels = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    grey = Image.fromarray(levels)
    if image.pixel_aspect != 1:
        grey = _with_square_pixels(grey, image.pixel_aspect, max_side)
    grey.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return np.asarray(grey)


def _with_square_pixels(grey: Image.Image, pixel_aspect: float, max_side: int) -> Image.Image:
    """Enlarge the side that is too short, within `max_side`."""
    sides = (grey.width * max(1 / pixel_aspect, 1), grey.height * max(pixel_aspect, 1))
    scale = min(max_side / max(sides), 1)
    width, height = (max(round(side * scale), 1) for side in sides)
    return grey.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def display_png(levels: NDArray[np.uint8], *, orientation: int = 0) -> bytes:
    """Return an 8-bit grey PNG of `display_levels`, set upright."""
    return _png(Image.fromarray(upright(levels, orientation)))


def heatmap_png(
    heatmap: NDArray[np.floating], *, size: tuple[int, int], orientation: int = 0
) -> bytes:
    """Return a PNG of `size` (width, height) to overlay on an upright image of that size.

    heatmap: (h, w) in logits, of the image as stored. Transparent at 0; its colours end
    at `HEATMAP_FULL_SCALE`. Stored as 256 colours with opacity, a quarter of RGBA's bytes.
    """
    heat = _heat(upright_heatmap(heatmap, orientation), size)
    return _png(heat, transparency=_levels(_OPACITIES))


def overlay_png(
    levels: NDArray[np.uint8],
    heatmap: NDArray[np.floating],
    *,
    orientation: int = 0,
    opacity: float = 0.4,
) -> bytes:
    """Return an RGB PNG of `display_levels` with the heatmap overlaid, set upright.

    heatmap: as of `heatmap_png`. opacity: of the full scale.
    """
    grey = Image.fromarray(upright(levels, orientation))
    heat = _heat(upright_heatmap(heatmap, orientation), grey.size)
    mask = Image.fromarray(np.asarray(heat)).point(list(_levels(_OPACITIES * opacity)))
    overlay = grey.convert("RGB")
    overlay.paste(heat.convert("RGB"), mask=mask)
    return _png(overlay)


def smooth(heatmap: NDArray[np.floating], *, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the heatmap (h, w) as drawn: float32 of `size` (width, height), not negative.

    Bicubic, with cells as pixel areas, so that the edges extend by half a cell. NaN counts as 0.
    """
    coarse = Image.fromarray(np.ascontiguousarray(np.nan_to_num(heatmap), np.float32))
    fine: NDArray[np.float32] = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    return np.maximum(fine, 0)


def _heat(heatmap: NDArray[np.floating], size: tuple[int, int]) -> Image.Image:
    levels = np.minimum(smooth(heatmap, size=size) / HEATMAP_FULL_SCALE, 1) * 255
    heat = Image.fromarray(np.rint(levels).astype(np.uint8))
    heat.putpalette(np.rint(_PALETTE).astype(np.uint8).tobytes())
    return heat


def _levels(shares: NDArray[np.floating]) -> bytes:
    return bytes(np.rint(shares * 255).astype(np.uint8))


def _png(image: Image.Image, **options: bytes) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=3, **options)
    return target.getvalue()
