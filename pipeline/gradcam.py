"""Grad-CAM (Selvaraju 2017) in the forward graph, and by the tape as the reference.

The head is global average pooling and one dense unit: logit = mean over places of (A . w) + b.
The logit's gradient with respect to the feature map A (h, w, channels) is then w / (h w) at
every place, so its mean over places, Grad-CAM's weight of a channel, is w / (h w) too, and the
heatmap is relu(A . w) / (h w). No backward pass is needed.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.network import FEATURE_MAP, HEAD
from pipeline.types import Inference

if TYPE_CHECKING:
    import keras


def forward_function(network: "keras.Model") -> Any:
    """A TensorFlow function: uint8 (n, size, size) -> logits (n,), heatmaps (n, h, w), features.

    The features are the feature map's mean over places, float32 (n, channels).
    """
    import keras
    import tensorflow as tf

    trunk = keras.Model(network.input, network.get_layer(FEATURE_MAP).output)
    # As constants: a function that is exported must not depend on the network's variables.
    kernel, bias = (tf.constant(value) for value in network.get_layer(HEAD).get_weights())

    @tf.function(input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.uint8)])  # type: ignore[untyped-decorator]
    def forward(network_inputs: Any) -> dict[str, Any]:
        feature_map = trunk(network_inputs, training=False)  # (n, h, w, channels)
        features = tf.reduce_mean(feature_map, axis=(1, 2))
        places = feature_map.shape[1] * feature_map.shape[2]
        heatmaps = tf.nn.relu(tf.einsum("nhwc,cu->nhwu", feature_map, kernel)[..., 0]) / places
        logits = (features @ kernel + bias)[:, 0]
        return {"logits": logits, "heatmaps": heatmaps, "features": features}

    return forward


def gradcam_by_tape(network: "keras.Model", network_inputs: NDArray[np.uint8]) -> Inference:
    """The textbook way, with a backward pass. Slow; for holding the closed form to account."""
    import keras
    import tensorflow as tf

    both = keras.Model(network.input, [network.get_layer(FEATURE_MAP).output, network.output])
    with tf.GradientTape() as tape:
        feature_map, logits = both(network_inputs, training=False)
        total = tf.reduce_sum(logits)  # images do not mix, so each keeps its own gradient
    gradient = tape.gradient(total, feature_map)  # (n, h, w, channels)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    heatmaps = tf.nn.relu(tf.reduce_sum(weights * feature_map, axis=-1))
    features = tf.reduce_mean(feature_map, axis=(1, 2))
    return Inference(logits.numpy()[:, 0], heatmaps.numpy(), features.numpy())
