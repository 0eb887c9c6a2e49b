"""MobileNetV2 (Sandler 2018) with our head, built flat: one graph, no network inside another.

Nested networks hide the last feature map from Grad-CAM. The head is global average pooling and
one dense unit, so that Grad-CAM has a closed form (see `gradcam`).
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError
from pipeline.inference.gradcam import HEAD
from pipeline.training.framework import keras, tf

logger = logging.getLogger(__name__)


class StartWeightsError(PipelineError):
    """The start weights cannot be read or downloaded, or do not fit the network."""


def build_network(
    *,
    size: int = 224,
    alpha: float = 1.0,
    dropout: float = 0.2,
    start_weights: Path | str | None = "random",
) -> keras.Model:
    """Build the network: uint8 (n, size, size) in, 0 = black; float32 logits (n, 1) out.

    start_weights: a Keras file, None for Keras's own download, "random" for noise. A version's
    `network.keras` gives its head, too, and the network computes what that version does: its
    batch normalisation is folded, which changes nothing while it is frozen, as it is here.
    Raises StartWeightsError.
    """
    start = None
    if start_weights is None:
        start = _download(size=size, alpha=alpha)
    elif start_weights != "random":
        start = _read(Path(start_weights))
    grey = keras.Input((size, size), dtype="uint8", name="network_input")
    trunk = keras.applications.MobileNetV2(
        input_tensor=_three_channels(grey, size=size), alpha=alpha, include_top=False, weights=None
    )
    pooled = keras.layers.GlobalAveragePooling2D(name="features")(trunk.output)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    logit = keras.layers.Dense(1, name=HEAD, kernel_initializer="zeros")(dropped)
    network = keras.Model(grey, logit, name="overread")
    if start is not None:
        _copy_weights(start, network, alpha=alpha)
    return network


def _three_channels(grey: Any, *, size: int) -> Any:
    """uint8 grey -> float32 (n, size, size, 3) in [-1, 1], as the ImageNet weights expect."""
    channel = keras.layers.Reshape((size, size, 1), name="channel")(grey)
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled")(channel)
    return keras.layers.Concatenate(name="three_channels")([scaled, scaled, scaled])


def _copy_weights(start: keras.Model, network: keras.Model, *, alpha: float) -> None:
    source = {layer.name: layer for layer in start.layers}
    try:
        for layer in network.layers:
            is_new_head = layer.name == HEAD and HEAD not in source
            if layer.weights and not is_new_head:  # the file may have a head of its own
                layer.set_weights(source[layer.name].get_weights())
    except (KeyError, ValueError) as error:
        message = f"expected the layers of MobileNetV2 {alpha} in the start weights: {error}"
        raise StartWeightsError(" ".join(message.split())) from error


def _read(path: Path) -> keras.Model:
    if not path.is_file():
        raise StartWeightsError(f"{path}: no such file of start weights")
    try:
        return keras.models.load_model(path, compile=False)
    except (ValueError, OSError, KeyError) as error:
        raise StartWeightsError(f"{path.name} is not a readable Keras file") from error


def _download(*, size: int, alpha: float) -> keras.Model:
    try:
        return keras.applications.MobileNetV2(
            input_shape=(size, size, 3), alpha=alpha, include_top=False, weights="imagenet"
        )
    except Exception as error:  # Keras wraps every failed download in a bare Exception
        logger.debug("download failed", exc_info=True)
        raise StartWeightsError(
            "the ImageNet weights could not be downloaded; name a file with --weights, or for "
            "the nightly job with OVERREAD_TRAIN_WEIGHTS"
        ) from error


def freeze_lower(network: keras.Model, *, share: float) -> None:
    """Make the layers above `share` of the graph trainable, except batch normalisation.

    Batch statistics of a few hundred steps would be too noisy at Keras's momentum of 0.999,
    and serving uses the stored ones.
    """
    limit = int(len(network.layers) * share)
    for index, layer in enumerate(network.layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = index >= limit and not is_norm


def fold_batch_normalisation(network: keras.Model) -> None:
    """Move each batch normalisation's scale into the convolution before it, in place.

    What is left of the layer adds its bias. The function computed is the same, but no later
    compiler has scales to multiply, so weights rounded to float16 stay exactly as they are.
    """
    for norm, conv in _convolutions(network).items():
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel = conv.get_weights()[0]
        is_depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)
        conv.set_weights([kernel * (scale[:, None] if is_depthwise else scale)])
        ones = np.ones_like(gamma)
        norm.set_weights([ones, beta - mean * scale, 0 * ones, (1 - norm.epsilon) * ones])


def round_to_float16(network: keras.Model) -> None:
    """Round the weights to values that float16 holds, in place; computing stays float32.

    Halves the files' size. Metrics, calibration and threshold are computed after this.
    """
    for layer in network.layers:
        values = layer.get_weights()
        # A folded batch normalisation's variance stands for exactly one; only its bias rounds.
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.set_weights(
            [
                value if is_norm and index != 1 else value.astype(np.float16).astype(np.float32)
                for index, value in enumerate(values)
            ]
        )


def fold_while_computing(network: keras.Model) -> keras.Model:
    """Return a faster network that shares the weights of one whose batch normalisation is frozen.

    It computes the same: uint8 (n, size, size) -> what `network` gives. While it computes, each
    normalisation's scale goes into the convolution's kernel and its offset into a bias, so that
    oneDNN runs convolution, bias and activation as one; gradients are the network's own. On two
    cores, with a third of the layers frozen, a training step takes 0.75 and a forward pass 0.6 of
    the time. OpenVINO would compute the frozen blocks no faster.
    """
    convolutions = _convolutions(network)
    folded_away = set(convolutions.values())

    def clone(layer: Any) -> Any:
        if layer in convolutions:
            return _FoldedConvolution(convolutions[layer], layer)
        if layer in folded_away:
            return keras.layers.Identity(name=layer.name)
        return layer if layer.weights else layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=clone)


def _convolutions(network: keras.Model) -> dict[Any, Any]:
    """By batch normalisation, the convolution before it, which has no bias (as in MobileNetV2)."""
    by_output = {id(layer.output): layer for layer in network.layers}
    norms = [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
    return {norm: by_output[id(norm.input)] for norm in norms}


class _FoldedConvolution(keras.layers.Layer):  # type: ignore[misc]
    """A convolution and the batch normalisation behind it."""

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__(name=norm.name)
        self.convolution, self.norm = convolution, norm
        self.is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)

    def call(self, inputs: Any, mask: None = None) -> Any:
        norm, padding = self.norm, self.convolution.padding.upper()
        scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        kernel = self.convolution.kernel
        rows, columns = self.convolution.strides
        if self.is_depthwise:
            strides = (1, rows, columns, 1)
            found = tf.nn.depthwise_conv2d(inputs, kernel * scale[:, None], strides, padding)
        else:
            found = tf.nn.conv2d(inputs, kernel * scale, (rows, columns), padding)
        return tf.nn.bias_add(found, norm.beta - norm.moving_mean * scale)

    def compute_output_shape(self, shape: Any) -> Any:
        return self.convolution.compute_output_shape(shape)
