"""What notebooks on this data set do: one image at a time, and the usual training epoch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.inference.gradcam import FEATURE_MAP

if TYPE_CHECKING:
    import keras

SIDE, BATCH, FROZEN = 224, 16, 100


def open_notebook(network_file: Path) -> Callable[[Path], object]:
    """Return what reads one JPEG or PNG."""
    import keras

    network = keras.models.load_model(network_file, compile=False)
    gradcam = keras.Model(network.input, [network.get_layer(FEATURE_MAP).output, network.output])
    return partial(read_one, network, gradcam)


def read_one(
    network: "keras.Model", gradcam: "keras.Model", path: Path
) -> tuple[float, NDArray[np.uint8]]:
    """The probability, and the image with the heatmap over it."""
    import keras

    image = keras.utils.load_img(path, color_mode="grayscale", target_size=(SIDE, SIDE))
    batch = keras.utils.img_to_array(image)[..., 0].astype(np.uint8)[None]
    logit = float(network.predict(batch, verbose=0)[0, 0])
    return 1 / (1 + np.exp(-logit)), overlay(path, heatmap_of(gradcam, batch))


def heatmap_of(gradcam: "keras.Model", batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        feature_map, logit = gradcam(batch)
        score = logit[:, 0]
    weights = tf.reduce_mean(tape.gradient(score, feature_map), axis=(0, 1, 2))
    heatmap = tf.nn.relu(tf.squeeze(feature_map[0] @ weights[..., None]))
    scaled: NDArray[np.float32] = (heatmap / (tf.reduce_max(heatmap) + 1e-9)).numpy()
    return scaled


def overlay(path: Path, heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    wide = cv2.resize(heatmap, (image.shape[1], image.shape[0]))
    coloured = cv2.applyColorMap((255 * wide).astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.addWeighted(image, 0.6, coloured, 0.4, 0).astype(np.uint8)


def notebook_epochs(folder: Path, *, weights: Path) -> Callable[[], None]:
    """folder holds one folder per class. Every call is one epoch."""
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator  # as in tf.keras

    generator = ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=20,
        zoom_range=0.2,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.2,
        horizontal_flip=True,
    )
    images = generator.flow_from_directory(
        folder, target_size=(SIDE, SIDE), batch_size=BATCH, class_mode="binary", seed=1
    )
    base = keras.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), include_top=False, weights=None
    )
    base.set_weights(keras.models.load_model(weights, compile=False).get_weights())
    for layer in base.layers[:FROZEN]:
        layer.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    hidden = keras.layers.Dense(128, activation="relu")(pooled)
    network = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(hidden))
    network.compile("adam", "binary_crossentropy", metrics=["accuracy"])

    def epoch() -> None:
        network.fit(images, epochs=1, verbose=0)

    return epoch
