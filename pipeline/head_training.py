"""Teaching the head: the trunk stands still, so its features are computed once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import balanced_weights
from pipeline.network import HEAD
from pipeline.training_config import TrainingConfig

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]


def fit_head(
    network: "keras.Model",
    features: Floats,
    labels: NDArray[np.uint8],
    *,
    seen: Floats,
    config: TrainingConfig,
    told: Callable[[float, Floats], None],
) -> None:
    """Let the network's head learn from where it is.

    features: float32 (n, channels), pooled, of the images of labels (n,) in {0, 1}; seen: those
    of the validation images. told: hears each epoch's training loss and validation logits (m,).
    """
    import keras

    entry = keras.Input((features.shape[1],))
    head = keras.Model(entry, network.get_layer(HEAD)(entry))
    head.compile(
        keras.optimizers.Adam(config.head_learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    weights = balanced_weights(labels)
    for _ in range(config.head_epochs):
        history = head.fit(
            features, labels[:, None], sample_weight=weights,
            batch_size=config.batch_size, verbose=0,
        )  # fmt: skip
        kernel, bias = network.get_layer(HEAD).get_weights()
        told(history.history["loss"][0], (seen @ kernel + bias)[:, 0])
