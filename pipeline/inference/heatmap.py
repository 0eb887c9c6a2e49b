"""How far a heatmap can be trusted: three measures, and a sentence made from them.

The limits were set with the network baseline-1 on 800 training images (children) and 157 others,
mostly of adults; the shares given here are baseline-2's on the same images, of which it predicted
pneumonia for 503: 390 of children, 113 others. To measure again: `python -m
benchmarks.accuracy.heatmaps --trust TRAIN/NORMAL TRAIN/PNEUMONIA EXTERNAL --version FOLDER`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.text import percent
from pipeline.types import HeatmapTrust

# Grey level. What is darker and connected to the image's edge is air or a black border. The air of
# some images is grey: at 16, a twentieth of the image or more passed for body in 14 % of the
# children's images. In the 36 images where 32 adds most to 16, it adds air and thin skin, no lung.
# A bright border passes for body.
AIR = 32
STEP = 4  # pixels between those examined

# Peak, in logits. Of the images predicted pneumonia none has less; of those predicted normal, 91 %
# of the children's and 52 % of the others.
FAINT = 0.1
# Concentration, 1 - share of the image. Of the images predicted pneumonia, 51 % of the children's
# and 28 % of the others lie below WIDE, 4 % and 4 % above NARROW.
WIDE = 0.4
NARROW = 0.75
# Shares outside the body. Air fills SOME of 4 % of all images, and MUCH of 1 in 957, so a heatmap
# with more there prefers it to the body. Of the images predicted pneumonia, 4 % of the children's
# and 2 % of the others have SOME outside, 1 of 503 has MUCH; of those predicted normal, more than
# half of the children's have MUCH.
SOME = 0.2
MUCH = 1 / 3
LEAST_MEASURED = 10  # heatmaps; a share of fewer says nothing

HeatmapKind = Literal["none", "negligible", "outside", "diffuse", "regional", "focal"]
KINDS: Final = get_args(HeatmapKind)


def measure_trust(
    heatmaps: NDArray[np.float32], network_inputs: NDArray[np.uint8]
) -> list[HeatmapTrust]:
    """Measure n heatmaps. heatmaps: float32 (n, h, w), not negative, unscaled; network_inputs:
    uint8 (n, H, W).

    concentration: 1 minus the effective share of cells that hold the heatmap, scaled so that a
    single cell gives 1. The effective number is 1 / sum of squared shares (Hill 1973, order 2; the
    inverse of the Herfindahl index), which does not depend on the grid. An empty heatmap gives 0
    in all three.
    """
    rows, columns = heatmaps.shape[1:]
    cells = rows * columns
    shares = heatmaps / np.maximum(heatmaps.sum(axis=(1, 2), keepdims=True), 1e-12)
    effective = 1 / np.maximum((shares**2).sum(axis=(1, 2)), 1 / cells)
    concentrations = np.clip((cells - effective) / max(cells - 1, 1), 0, 1)
    inside = np.clip((shares * body_shares(network_inputs, rows, columns)).sum(axis=(1, 2)), 0, 1)
    peaks = heatmaps.max(axis=(1, 2), initial=0)
    return [
        HeatmapTrust(*map(float, one)) for one in zip(peaks, concentrations, inside, strict=True)
    ]


def body_shares(network_inputs: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.float32]:
    """Return the share of each cell that is body, float32 (n, rows, columns) in [0, 1].

    network_inputs: uint8 (n, H, W). Body is what has something bright on all four sides, so that
    a dark lung counts.
    """
    bright = network_inputs[:, STEP // 2 :: STEP, STEP // 2 :: STEP] > AIR
    body = np.ones_like(bright)
    for axis in (1, 2):
        body &= np.logical_or.accumulate(bright, axis=axis)
        body &= np.flip(np.logical_or.accumulate(np.flip(bright, axis), axis=axis), axis)
    return cell_means(body.astype(np.float32), rows, columns)


def cell_means(pixels: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return means of (n, H, W) over a grid, (n, rows, columns); H, W need not be multiples."""
    height, width = pixels.shape[1:]
    tops, lefts = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    sums: NDArray[np.float32] = np.add.reduceat(
        np.add.reduceat(pixels, tops, axis=1), lefts, axis=2
    )
    sizes = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width))
    return np.divide(sums, sizes, dtype=np.float32)


def kind_of(*, peak: float, concentration: float, inside_body: float) -> HeatmapKind:
    """Return the kind by the limits above; the arguments are those of HeatmapTrust."""
    if peak <= 0:
        return "none"
    if peak < FAINT:
        return "negligible"
    if 1 - inside_body >= MUCH:
        return "outside"
    if concentration < WIDE:
        return "diffuse"
    return "regional" if concentration < NARROW else "focal"


def describe_trust(
    *,
    peak: float,
    concentration: float,
    inside_body: float,
    kinds: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> str:
    """Return some sentences for a reader; the first arguments are those of HeatmapTrust.

    kinds: of the version's card (see `heatmaps.scores`): how often such heatmaps pointed at what
    readers marked, if it was measured on enough images.
    """
    kind = kind_of(peak=peak, concentration=concentration, inside_body=inside_body)
    if kind in ("none", "negligible"):
        return "No activation." if kind == "none" else "Negligible activation."
    outside = f"{percent(1 - inside_body)} of the activation outside the body"
    covered = f"about {max(round(20 * (1 - concentration)), 1) * 5} % of the image"
    if kind == "outside":
        found = f"{outside}; not reliable."
    elif kind == "diffuse":
        found = f"Diffuse activation ({covered}); not localising."
    else:
        found = f"{kind.capitalize()} activation ({covered})."
    if SOME <= 1 - inside_body < MUCH:
        found += f" {outside}."
    measured = kinds.get(kind, {})
    if measured.get("images", 0) >= LEAST_MEASURED:
        found += (
            f" In {measured['hits']} of {measured['images']} such heatmaps the peak lay where "
            "readers had marked pneumonia."
        )
    return found
