"""Grad-CAM (Selvaraju 2017) in the forward graph, and by the tape as the reference.

The head is global average pooling and one dense unit: logit = mean over places of (A . w) + b.
The logit's gradient with respect to the feature map A (h, w, channels) is then w / (h w) at
every place, so its mean over places, Grad-CAM's weight of a channel, is w / (h w) too, and the
heatmap is relu(A . w) / (h w). No backward pass is needed.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.network import FEATURE_MAP, HEAD, MIDDLE_MAP
from pipeline.types import Inference

if TYPE_CHECKING:
    import keras


def forward_function(network: "keras.Model") -> Any:
    """A TensorFlow function: uint8 (n, size, size) -> logits (n,), heatmaps (n, h, w), features.

    The features are the mean and the standard deviation over places of the middle feature map,
    float32 (n, 2 * channels).
    """
    import tensorflow as tf

    trunk = _feature_maps(network)
    # As constants: a function that is exported must not depend on the network's variables.
    kernel, bias = (tf.constant(value) for value in network.get_layer(HEAD).get_weights())

    signature = [tf.TensorSpec([None, *network.input_shape[1:]], tf.uint8)]

    # There are no branches for autograph to look for, which takes seconds.
    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def forward(network_inputs: Any) -> dict[str, Any]:
        middle, feature_map = trunk(network_inputs, training=False)  # each (n, h, w, channels)
        pooled = tf.reduce_mean(feature_map, axis=(1, 2))
        places = feature_map.shape[1] * feature_map.shape[2]
        heatmaps = tf.nn.relu(tf.einsum("nhwc,cu->nhwu", feature_map, kernel)[..., 0]) / places
        logits = (pooled @ kernel + bias)[:, 0]
        return {"logits": logits, "heatmaps": heatmaps, "features": _statistics(middle)}

    return forward


def _feature_maps(network: "keras.Model") -> "keras.Model":
    import keras

    places = [network.get_layer(name).output for name in (MIDDLE_MAP, FEATURE_MAP)]
    return keras.Model(network.input, places)


def _statistics(feature_map: Any) -> Any:
    """(n, h, w, channels) -> (n, 2 * channels): means, then standard deviations."""
    import tensorflow as tf

    means = tf.reduce_mean(feature_map, axis=(1, 2))
    squares = tf.reduce_mean((feature_map - means[:, None, None]) ** 2, axis=(1, 2))
    return tf.concat([means, tf.sqrt(squares + 1e-6)], axis=1)


def gradcam_by_tape(network: "keras.Model", network_inputs: NDArray[np.uint8]) -> Inference:
    """The textbook way, with a backward pass. Slow; for holding the closed form to account."""
    import keras
    import tensorflow as tf

    maps = _feature_maps(network).outputs
    everything = keras.Model(network.input, [*maps, network.output])
    with tf.GradientTape() as tape:
        middle, feature_map, logits = everything(network_inputs, training=False)
        total = tf.reduce_sum(logits)  # images do not mix, so each keeps its own gradient
    gradient = tape.gradient(total, feature_map)  # (n, h, w, channels)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    heatmaps = tf.nn.relu(tf.reduce_sum(weights * feature_map, axis=-1))
    return Inference(logits.numpy()[:, 0], heatmaps.numpy(), _statistics(middle).numpy())
