"""Pictures for people: the radiograph, and where the network looked."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.types import DecodedImage

# Dark violet through red to pale yellow: lightness grows steadily from anchor to anchor, so
# that stronger looks brighter, also in print and to colour-blind eyes.
_ANCHORS = np.array(
    [
        (20, 0, 50),
        (70, 0, 105),
        (125, 10, 115),
        (175, 35, 95),
        (215, 70, 60),
        (240, 115, 25),
        (250, 170, 30),
        (255, 225, 110),
        (255, 252, 200),
    ],
    np.float64,
)
# Below this share of the peak nothing is drawn: interpolation's faint fringe misleads.
_FLOOR = 0.05

Bytes = NDArray[np.uint8]


def display_png(image: DecodedImage, *, max_side: int = 1600) -> bytes:
    """Return an 8-bit grey PNG no larger than `max_side`, aspect kept."""
    return _png(_grey(image, max_side))


def heatmap_png(heatmap: NDArray[np.floating], *, size: tuple[int, int]) -> bytes:
    """Return an RGBA PNG of `size` (width, height) to lay over a picture of that shape.

    heatmap: (h, w) in [0, 1], scaled to its peak. Transparent at 0, opaque at 1.
    """
    strength = _strength(heatmap, size)
    alpha = np.rint(_opacity(strength) * 255).astype(np.uint8)
    return _png(Image.fromarray(np.dstack([_colours(strength), alpha])))


def overlay_png(
    image: DecodedImage,
    heatmap: NDArray[np.floating],
    *,
    opacity: float = 0.4,
    max_side: int = 1600,
) -> bytes:
    """Return an RGB PNG of the picture with the heatmap laid over it.

    heatmap: (h, w) in [0, 1], scaled to its peak. opacity: of its strongest places.
    """
    grey = _grey(image, max_side)
    strength = _strength(heatmap, grey.size)
    share = (_opacity(strength) * opacity)[..., None]
    mixed = np.asarray(grey)[..., None] * (1 - share) + _colours(strength) * share
    return _png(Image.fromarray(np.rint(mixed).astype(np.uint8)))


def _grey(image: DecodedImage, max_side: int) -> Image.Image:
    pixels = np.rint(np.clip(image.pixels, 0, 1) * 255).astype(np.uint8)
    grey = Image.fromarray(pixels)
    grey.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return grey


def _strength(heatmap: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return float32 (H, W) in [0, 1]: the coarse map as a smooth one.

    Each coarse cell is the middle of its field, so edges extend by half a cell.
    """
    coarse = Image.fromarray(np.ascontiguousarray(np.nan_to_num(heatmap), np.float32))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32)
    return np.asarray(np.clip(smooth, 0, 1))


def _opacity(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.clip((strength - _FLOOR) / (1 - _FLOOR), 0, 1))


def _colours(strength: NDArray[np.float32]) -> Bytes:
    """Return uint8 (H, W, 3)."""
    levels = np.linspace(0, 1, len(_ANCHORS))
    steps = np.linspace(0, 1, 256)
    table = np.stack([np.interp(steps, levels, channel) for channel in _ANCHORS.T], axis=-1)
    index = np.rint(strength * 255).astype(np.uint8)
    return np.asarray(np.rint(table).astype(np.uint8)[index])


def _png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=3)
    return target.getvalue()
