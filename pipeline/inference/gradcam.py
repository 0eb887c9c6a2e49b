"""Grad-CAM (Selvaraju 2017) in the forward graph.

The head is global average pooling and one dense unit: logit = mean over places of (A . w) + b.
The logit's gradient with respect to the feature map A (h, w, channels) is then w / (h w) at
every place, so its mean over places, Grad-CAM's weight of a channel, is w / (h w) too, and the
heatmap is relu(A . w) / (h w). No backward pass is needed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Layers by their names in Keras.
FEATURE_MAP = "out_relu"  # the last feature map
# It tells strange images best: later maps keep only what pneumonia needs, earlier ones differ
# more between hospitals than between chests and other things.
MIDDLE_MAP = "block_9_add"
HEAD = "pneumonia_logit"


def forward_function(network: "keras.Model") -> Any:
    """A TensorFlow function: uint8 (n, size, size) -> logits (n,), heatmaps (n, h, w), features.

    The features are the mean and the standard deviation over places of the middle feature map,
    float32 (n, 2 * channels).
    """
    import tensorflow as tf

    trunk = feature_maps(network)
    # As constants: a function that is exported must not depend on the network's variables.
    kernel, bias = (tf.constant(value) for value in network.get_layer(HEAD).get_weights())
    signature = [tf.TensorSpec([None, *network.input_shape[1:]], tf.uint8)]

    # There are no branches for autograph to look for, which would take seconds.
    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def forward(network_inputs: Any) -> dict[str, Any]:
        middle, feature_map = trunk(network_inputs, training=False)  # each (n, h, w, channels)
        pooled = tf.reduce_mean(feature_map, axis=(1, 2))
        places = feature_map.shape[1] * feature_map.shape[2]
        heatmaps = tf.nn.relu(tf.einsum("nhwc,cu->nhwu", feature_map, kernel)[..., 0]) / places
        logits = (pooled @ kernel + bias)[:, 0]
        return {"logits": logits, "heatmaps": heatmaps, "features": statistics(middle)}

    return forward


def feature_maps(network: "keras.Model") -> "keras.Model":
    import keras

    maps = [network.get_layer(name).output for name in (MIDDLE_MAP, FEATURE_MAP)]
    return keras.Model(network.input, maps)


def statistics(feature_map: Any) -> Any:
    """(n, h, w, channels) -> (n, 2 * channels): means, then standard deviations."""
    import tensorflow as tf

    means = tf.reduce_mean(feature_map, axis=(1, 2))
    squares = tf.reduce_mean((feature_map - means[:, None, None]) ** 2, axis=(1, 2))
    return tf.concat([means, tf.sqrt(squares + 1e-6)], axis=1)
