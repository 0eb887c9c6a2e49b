"""A weak teacher of place: where pneumonia raises the score, the lungs should do it.

Labels say that there is pneumonia, not where; networks then learn side markers and shoulders, too.
The closed-form heatmap (see `gradcam`) costs nothing in a training step, so the share of it that
lies outside the places where readers mark pneumonia can be part of the loss (cf. Ross 2017, "Right
for the right reasons").
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.training.framework import tf

PLACES_SIDE: Final = 28  # cells; of a map of places, which moves with its image
# How often readers' boxes cover a cell of a 7 x 7 grid: the mean of 76 adult films of NIH
# ChestX-ray14 with boxes of the RSNA Pneumonia Detection Challenge 2018, mirrored, over half of
# its maximum. One half of the image; the other is its mirror image.
_LEFT_HALF: Final = (
    (0.01, 0.03, 0.03, 0.03),
    (0.07, 0.38, 0.54, 0.30),
    (0.13, 0.99, 1.00, 0.55),
    (0.15, 1.00, 1.00, 0.59),
    (0.15, 1.00, 1.00, 0.38),
    (0.08, 0.55, 0.60, 0.19),
    (0.02, 0.08, 0.07, 0.01),
)


def lung_prior() -> NDArray[np.float32]:
    """Return float32 (PLACES_SIDE, PLACES_SIDE) in [0, 1]: 1 where pneumonia may well be."""
    half = np.array(_LEFT_HALF, np.float32)
    whole = np.concatenate([half, half[:, 2::-1]], axis=1)
    repeats = PLACES_SIDE // len(whole)
    return np.kron(whole, np.ones((repeats, repeats), np.float32))


def share_outside(feature_map: Any, kernel: Any, places: Any) -> Any:
    """Return the share of each image's heatmap outside its places: float32 (n,) in [0, 1].

    feature_map: float32 (n, h, w, channels). kernel: of the head, (channels, 1). places: float32
    (n, k, k) in [0, 1]; 1 is inside. An empty heatmap has nothing outside.
    """
    heatmaps = tf.nn.relu(tf.einsum("nhwc,cu->nhwu", feature_map, kernel)[..., 0])
    size = tf.shape(heatmaps)[1:]
    inside = tf.image.resize(places[..., None], size, method="area")[..., 0]
    outside = tf.reduce_sum(heatmaps * (1 - inside), axis=(1, 2))
    return outside / (tf.reduce_sum(heatmaps, axis=(1, 2)) + 1e-3)
