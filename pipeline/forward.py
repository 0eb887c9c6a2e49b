"""A network's answers for many images: traced once, and the caller hears how far it is."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]


class Forward:
    """Keras's own `predict` traces anew for each network and tells nobody anything."""

    def __init__(self, network: "keras.Model") -> None:
        import tensorflow as tf

        signature = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)
        self._widths = [output.shape[1] for output in network.outputs]
        self._compute = tf.function(
            lambda images: network(images, training=False),
            input_signature=[signature],
            autograph=False,
            jit_compile=False,
        )

    def __call__(
        self,
        images: NDArray[np.uint8],
        *,
        batch_size: int = 64,
        told: Callable[[int], None] = lambda done: None,
    ) -> list[Floats]:
        """uint8 (n, size, size) -> each output, float32 (n, its width). told: images done."""
        import tensorflow as tf

        answers = [np.empty((len(images), width), np.float32) for width in self._widths]
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            for answer, part in zip(answers, tf.nest.flatten(self._compute(batch)), strict=True):
                answer[start : start + len(batch)] = part.numpy()
            told(start + len(batch))
        return answers
