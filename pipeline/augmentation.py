"""Random views of training images: what differs between hospitals must not matter.

Position, scale and aspect, tone, sharpness and noise change; whole batches at once, in
TensorFlow, so that reading never waits. Input and output are what the network eats.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

ROTATION = math.radians(12)
SCALE = 0.15  # either way, and each axis a little for itself
ASPECT = 0.12
SHIFT = 0.07  # of the side
GAMMA = 0.5  # standard deviation of its logarithm is half of this
CONTRAST = 0.35
BRIGHTNESS = 0.12
BLUR_SHARE = 0.4
NOISE = 0.04


def augment(images: "tf.Tensor") -> "tf.Tensor":
    """uint8 (n, h, w) -> uint8 (n, h, w), each image changed in its own way."""
    import tensorflow as tf

    grey = tf.cast(images, tf.float32)[..., None] / 255
    grey = _move(grey)
    grey = _blur(grey)
    grey = _change_tone(grey)
    grey += tf.random.normal(tf.shape(grey)) * _uniform(grey, 0, NOISE)
    return tf.cast(tf.round(tf.clip_by_value(grey, 0, 1)[..., 0] * 255), tf.uint8)


def _uniform(grey: Any, low: float, high: float) -> Any:
    """One number per image, shaped to multiply it."""
    import tensorflow as tf

    return tf.random.uniform((tf.shape(grey)[0], 1, 1, 1), low, high)


def _move(grey: Any) -> Any:
    """Rotation, zoom, aspect, shift and left-right flip as one projective resampling."""
    import tensorflow as tf

    n, side = tf.shape(grey)[0], tf.cast(tf.shape(grey)[1], tf.float32)
    angle = tf.random.uniform((n,), -ROTATION, ROTATION)
    zoom = tf.exp(tf.random.uniform((n,), -SCALE, SCALE))
    aspect = tf.exp(tf.random.uniform((n,), -ASPECT, ASPECT))
    flip = tf.where(tf.random.uniform((n,)) < 0.5, -1.0, 1.0)
    shift = tf.random.uniform((2, n), -SHIFT, SHIFT) * side
    a, b = flip * zoom * aspect * tf.cos(angle), -zoom * tf.sin(angle)
    c, d = flip * zoom / aspect * tf.sin(angle), zoom * tf.cos(angle)
    middle = (side - 1) / 2
    dx = middle - a * middle - b * middle + shift[0]
    dy = middle - c * middle - d * middle + shift[1]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=grey,
        transforms=tf.stack([a, b, dx, c, d, dy, zero, zero], axis=1),
        output_shape=tf.shape(grey)[1:3],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def _blur(grey: Any) -> Any:
    """Resample a share of the images at a coarser grid: detectors and archives differ so."""
    import tensorflow as tf

    side = tf.shape(grey)[1:3]
    factor = tf.random.uniform((), 0.35, 0.9)
    coarse = tf.cast(tf.cast(side, tf.float32) * factor, tf.int32)
    small = tf.image.resize(grey, coarse, antialias=True)
    return tf.where(_uniform(grey, 0, 1) < BLUR_SHARE, tf.image.resize(small, side), grey)


def _change_tone(grey: Any) -> Any:
    """Gamma, an S-curve either way, contrast and brightness."""
    import tensorflow as tf

    gamma = tf.exp(tf.random.normal((tf.shape(grey)[0], 1, 1, 1)) * GAMMA / 2)
    toned = tf.pow(tf.clip_by_value(grey, 1e-4, 1), gamma)
    bend = _uniform(grey, -0.5, 0.8)  # towards smoothstep, or away from it
    toned += bend * (toned * toned * (3 - 2 * toned) - toned)
    contrast = _uniform(grey, 1 - CONTRAST, 1 + CONTRAST)
    return (toned - 0.5) * contrast + 0.5 + _uniform(grey, -BRIGHTNESS, BRIGHTNESS)
