"""Do the heatmaps depend on what the network learned? (Adebayo 2018, "Sanity checks for saliency
maps".)

Weights are made meaningless from the top down, and the heatmaps compared with the original ones. A
map that stays as it was shows the image's edges and not what the network learned. Here every
tensor's values are shuffled rather than drawn again: its distribution stays, so that signals
neither vanish nor explode in a network whose batch normalisation is folded away.

The closed form multiplies features by the head's weights, so the map depends on both by
construction; what the check adds is by how much.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import NetworkFolderError
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.gradcam import FEATURE_MAP, HEAD

if TYPE_CHECKING:
    import keras

Heatmaps = NDArray[np.float32]  # (n, h, w)
BATCH: Final = 32  # bounds the memory
DRAWS: Final = 5
ANOTHER: Final = "none, but another image's heatmap"
# From the top; each is randomised together with all above it. MobileNetV2's blocks 14 to 16 work
# at the heatmap's own resolution, 7 to 13 at twice that, 1 to 6 at four times and more.
STAGES: Final = (
    ("head", HEAD),
    ("head and last convolution", r"Conv_1"),
    ("down to block 14", r"block_1[4-6]_"),
    ("down to block 7", r"block_([7-9]|1[0-3])_"),
    ("all", r""),
)


def randomise_version(
    folder: Path, network_inputs: NDArray[np.uint8], *, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """`randomise` for the network in a version's folder. Raises NetworkFolderError."""
    from pipeline.inference.tensorflow_engine import import_tensorflow

    import_tensorflow()
    import keras

    try:
        network = keras.models.load_model(folder / NETWORK_FILE, compile=False)
    except (ValueError, OSError) as error:
        raise NetworkFolderError(f"{NETWORK_FILE} cannot be read in {folder}") from error
    return randomise(network, network_inputs, draws=draws)


def randomise(
    network: "keras.Model", network_inputs: NDArray[np.uint8], *, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """uint8 (n, H, W) -> how alike heatmaps stay, row by row as more layers lose their weights.

    layers: which. correlation: Pearson's, over the places of a heatmap, mean over images and
    draws, in [-1, 1]; low, high: of the draws' means. empty: share of heatmaps left without any
    place; they count as a correlation of 0. The first row is the reference: how alike the
    heatmaps of different images are. The network's weights are as before afterwards.
    """
    heatmaps_of = compile_heatmaps(network, network_inputs)
    original = heatmaps_of()
    found = [[heatmaps_of() for _ in shuffle_cascade(network, seed=seed)] for seed in range(draws)]
    others = np.roll(original, 1, axis=0)
    return [_row(ANOTHER, original, [others])] + [
        _row(name, original, [draw[stage] for draw in found])
        for stage, (name, _) in enumerate(STAGES)
    ]


def shuffle_cascade(network: "keras.Model", *, seed: int) -> Iterator[None]:
    """Shuffle one stage after the other, in place; the weights come back at the end."""
    random = np.random.default_rng(seed)
    learned = network.get_weights()
    left = [layer for layer in network.layers if layer.weights]
    try:
        for _, pattern in STAGES:
            chosen = [layer for layer in left if re.match(pattern, layer.name)]
            left = [layer for layer in left if layer not in chosen]
            for layer in chosen:
                layer.set_weights([_shuffled(value, random) for value in layer.get_weights()])
            yield
    finally:
        network.set_weights(learned)


def _shuffled(values: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    return random.permutation(values.ravel()).reshape(values.shape)


def compile_heatmaps(
    network: "keras.Model", network_inputs: NDArray[np.uint8]
) -> Callable[[], Heatmaps]:
    """What `gradcam.forward_function` computes, with the weights as they are at each call.

    That one takes the head's weights as constants, and tracing it again costs seconds each time.
    """
    import keras

    trunk = keras.Model(network.input, network.get_layer(FEATURE_MAP).output)

    def heatmaps() -> Heatmaps:
        feature_map = trunk.predict(network_inputs, batch_size=BATCH, verbose=0)
        places = feature_map.shape[1] * feature_map.shape[2]
        kernel = network.get_layer(HEAD).get_weights()[0]
        found: Heatmaps = np.maximum(feature_map @ kernel[:, 0], 0) / places
        return found

    return heatmaps


def _row(layers: str, original: Heatmaps, draws: list[Heatmaps]) -> dict[str, Any]:
    means = [float(correlations(original, maps).mean()) for maps in draws]
    empty = np.mean([maps.max(axis=(1, 2)) <= 0 for maps in draws])
    return {
        "layers": layers,
        "correlation": round(float(np.mean(means)), 4),
        "low": round(min(means), 4),
        "high": round(max(means), 4),
        "empty": round(float(empty), 4),
    }


def correlations(first: Heatmaps, second: Heatmaps) -> NDArray[np.float64]:
    """Pearson's over places, float64 (n,); 0 where a map is the same everywhere."""
    a, b = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (first, second))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    found: NDArray[np.float64] = (a * b).sum(axis=1) / np.maximum(norms, 1e-30)
    return found
