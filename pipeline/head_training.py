"""Teaching the head: the trunk stands still, so its features are computed once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import balanced_weights
from pipeline.dataset import Dataset
from pipeline.network import HEAD
from pipeline.training_config import TrainingConfig

if TYPE_CHECKING:
    import keras


def fit_head(
    twin: "keras.Model",
    train: Dataset,
    validation: Dataset,
    *,
    config: TrainingConfig,
    told: Callable[[float, NDArray[np.float32]], None],
) -> None:
    """twin: shares the network's head (see `folded_twin`), which learns.

    told: hears each epoch's training loss and validation logits (n,).
    """
    import keras

    trunk = keras.Model(twin.input, twin.get_layer("features").output)
    features = trunk.predict(train.images, batch_size=64, verbose=0)
    seen = trunk.predict(validation.images, batch_size=64, verbose=0)
    entry = keras.Input((features.shape[1],))
    head = keras.Model(entry, twin.get_layer(HEAD)(entry))
    head.compile(
        keras.optimizers.Adam(config.head_learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    weights = balanced_weights(train.labels)
    for _ in range(config.head_epochs):
        history = head.fit(
            features, train.labels[:, None], sample_weight=weights,
            batch_size=config.batch_size, verbose=0,
        )  # fmt: skip
        told(history.history["loss"][0], head.predict(seen, batch_size=512, verbose=0)[:, 0])
