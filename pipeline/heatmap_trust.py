"""How far a heatmap can be trusted."""

import numpy as np
from numpy.typing import NDArray

from pipeline.types import HeatmapTrust

BLACK = 16  # grey level; darker is air around the body, or a border


def measure_trust(
    heatmaps: NDArray[np.float32], network_inputs: NDArray[np.uint8]
) -> list[HeatmapTrust]:
    """float32 (n, h, w), unscaled, and the uint8 (n, H, W) that they belong to -> n."""
    n, rows, columns = heatmaps.shape
    height, width = network_inputs.shape[1] // rows, network_inputs.shape[2] // columns
    cut = network_inputs[:, : rows * height, : columns * width]
    cells = cut.reshape(n, rows, height, columns, width).transpose(0, 1, 3, 2, 4)
    body = (cells > BLACK).mean(axis=(3, 4))
    shares = heatmaps / np.maximum(heatmaps.sum(axis=(1, 2), keepdims=True), 1e-12)
    even = 1 / (rows * columns)
    concentrations = np.clip(((shares**2).sum(axis=(1, 2)) - even) / (1 - even), 0, 1)
    inside = (shares * body).sum(axis=(1, 2))
    peaks = heatmaps.max(axis=(1, 2), initial=0)
    return [
        HeatmapTrust(peak=float(peak), concentration=float(concentration), inside_body=float(share))
        for peak, concentration, share in zip(peaks, concentrations, inside, strict=True)
    ]


def describe_trust(*, peak: float, concentration: float, inside_body: float) -> str:
    """One plain sentence for a reader; the arguments are those of HeatmapTrust."""
    if peak <= 0:
        return "Nothing raised the score."
    if inside_body < 0.75:
        return f"{1 - inside_body:.0%} of it lies outside the body: do not trust it."
    if concentration < 0.05:
        return "Spread over the whole image: it does not say where."
    return "Points to one place on the body."
