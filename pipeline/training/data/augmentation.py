"""Random views of training images, so that differences between hospitals do not matter.

Position, scale and aspect, style, sharpness, tone, markers and noise change, in whole batches, in
TensorFlow. Input and output are network inputs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipeline.training.config import TrainingConfig
from pipeline.training.framework import tf

ROTATION: Final = math.radians(12)
SCALE: Final = 0.15  # either way, and each axis a little for itself
ASPECT: Final = 0.12
SHIFT: Final = 0.07  # of the side
GAMMA: Final = 0.25  # standard deviation of its logarithm
CONTRAST: Final = 0.35
BRIGHTNESS: Final = 0.12
NOISE: Final = 0.04
COVERED: Final = 0.13  # half of a covered patch's side at most, as a share of the image's


class _Random:
    """Random numbers that depend on the seed alone; each call has its own."""

    def __init__(self, seed: Any, count: Any) -> None:
        self._count = count
        self._seeds: Iterator[Any] = iter(
            tf.unstack(tf.random.experimental.stateless_split(seed, 32))
        )

    def uniform(self, low: float, high: float) -> Any:
        """One number per image, shaped to multiply images."""
        return tf.random.stateless_uniform((self._count, 1, 1, 1), next(self._seeds), low, high)

    def normal(self, shape: Any) -> Any:
        return tf.random.stateless_normal(shape, next(self._seeds))

    def chosen(self, share: float) -> Any:
        """Which images, as a condition."""
        return self.uniform(0, 1) < share


def augment(images: Any, *, seed: Any, config: TrainingConfig) -> Any:
    """uint8 (n, h, w) -> uint8 (n, h, w), each image changed in its own way.

    seed: int32 (2,); the same seed gives the same views. config: whose shares of the images are
    changed.
    """
    random = _Random(seed, tf.shape(images)[0])
    return _augment(images, _Motion.draw(random, still_share=config.still_share), random, config)


def augment_with_places(
    images: Any, places: Any, *, seed: Any, config: TrainingConfig
) -> tuple[Any, Any]:
    """Like `augment`; the places, float32 (n, k, k), move with their images."""
    random = _Random(seed, tf.shape(images)[0])
    motion = _Motion.draw(random, still_share=config.still_share)
    moved = motion.apply(places[..., None])[..., 0]
    return _augment(images, motion, random, config), moved


def _augment(images: Any, motion: "_Motion", random: _Random, config: TrainingConfig) -> Any:
    grey = tf.cast(images, tf.float32)[..., None] / 255
    grey = _change_style(grey, random, share=config.style_share)
    grey = motion.apply(grey)
    grey = _change_sharpness(grey, random, share=config.sharpness_share)
    grey = _change_tone(grey, random)
    for _ in range(2):
        grey = _cover(grey, random, share=config.cover_share)
    grey += random.normal(tf.shape(grey)) * random.uniform(0, NOISE)
    return tf.cast(tf.round(tf.clip_by_value(grey, 0, 1)[..., 0] * 255), tf.uint8)


def _change_style(grey: Any, random: _Random, *, share: float) -> Any:
    """Grey levels' mean and deviation of the batch's next image, whatever its class.

    Otherwise the network learns the scanner: in the public set, normal images have more contrast.
    """
    mean, variance = tf.nn.moments(grey, axes=(1, 2), keepdims=True)
    deviation = tf.sqrt(variance) + 1e-3
    new_mean, new_deviation = tf.roll(mean, 1, 0), tf.roll(deviation, 1, 0)
    strength = random.uniform(0, 1)
    new_mean = mean + strength * (new_mean - mean)
    new_deviation = deviation + strength * (new_deviation - deviation)
    changed = (grey - mean) / deviation * new_deviation + new_mean
    return tf.where(random.chosen(share), changed, grey)


@dataclass(frozen=True)
class _Motion:
    """Rotation, zoom, aspect, shift and left-right flip as one projective resampling.

    matrix: a, b, c and d, each (n,): the linear part, from the output to the input. shift: of the
    side, to the right and downwards, each (n,).
    """

    matrix: tuple[Any, Any, Any, Any]
    shift: tuple[Any, Any]

    @classmethod
    def draw(cls, random: _Random, *, still_share: float) -> "_Motion":
        is_still = random.chosen(still_share)

        def flat(low: float, high: float) -> Any:
            drawn = random.uniform(low, high)
            return tf.where(is_still, 0.0, drawn)[:, 0, 0, 0]

        angle, zoom, aspect = (
            flat(-ROTATION, ROTATION),
            tf.exp(flat(-SCALE, SCALE)),
            tf.exp(flat(-ASPECT, ASPECT)),
        )
        shift = flat(-SHIFT, SHIFT), flat(-SHIFT, SHIFT)
        flip = tf.where(random.chosen(0.5), -1.0, 1.0)[:, 0, 0, 0]
        a, b = flip * zoom * aspect * tf.cos(angle), -zoom * tf.sin(angle)
        c, d = flip * zoom / aspect * tf.sin(angle), zoom * tf.cos(angle)
        return cls((a, b, c, d), shift)

    def apply(self, images: Any) -> Any:
        """float32 (n, side, side, channels) of any side; what comes from outside is 0."""
        side = tf.cast(tf.shape(images)[1], tf.float32)
        a, b, c, d = self.matrix
        middle = (side - 1) / 2
        dx = middle - a * middle - b * middle + self.shift[0] * side
        dy = middle - c * middle - d * middle + self.shift[1] * side
        zero = tf.zeros_like(a)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([a, b, dx, c, d, dy, zero, zero], axis=1),
            output_shape=tf.shape(images)[1:3],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )


def _change_sharpness(grey: Any, random: _Random, *, share: float) -> Any:
    """Blur or sharpen, as detectors, archives and compression differ."""
    kernel = tf.constant([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    blurred = tf.nn.conv2d(grey, kernel[:, None, None, None], 1, "SAME")
    blurred = tf.nn.conv2d(blurred, kernel[None, :, None, None], 1, "SAME")
    edge = tf.nn.conv2d(tf.ones_like(grey[:1]), kernel[:, None, None, None], 1, "SAME")
    edge = tf.nn.conv2d(edge, kernel[None, :, None, None], 1, "SAME")
    changed = grey + random.uniform(-1.0, 1.0) * (grey - blurred / edge)
    return tf.where(random.chosen(share), changed, grey)


def _change_tone(grey: Any, random: _Random) -> Any:
    """Gamma, an S-curve either way, contrast and brightness."""
    gamma = tf.exp(random.normal((tf.shape(grey)[0], 1, 1, 1)) * GAMMA)
    toned = tf.pow(tf.clip_by_value(grey, 1e-4, 1), gamma)
    bend = random.uniform(-0.5, 0.8)  # towards smoothstep, or away from it
    toned += bend * (toned * toned * (3 - 2 * toned) - toned)
    contrast = random.uniform(1 - CONTRAST, 1 + CONTRAST)
    return (toned - 0.5) * contrast + 0.5 + random.uniform(-BRIGHTNESS, BRIGHTNESS)


def _cover(grey: Any, random: _Random, *, share: float) -> Any:
    """Random erasing (Zhong 2020): neither a side marker nor one corner of a lung decides."""
    side = tf.cast(tf.shape(grey)[1], tf.float32)
    rows, columns = tf.range(side)[None, :, None, None], tf.range(side)[None, None, :, None]
    row, column = random.uniform(0, 1) * side, random.uniform(0, 1) * side
    height, width = random.uniform(0.02, COVERED) * side, random.uniform(0.02, COVERED) * side
    is_inside = (tf.abs(rows - row) < height) & (tf.abs(columns - column) < width)
    return tf.where(is_inside & random.chosen(share), random.uniform(0, 1), grey)
