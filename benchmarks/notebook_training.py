"""The usual notebook's epoch: Keras's image generator, batches of 16, layers below 100 frozen."""

from collections.abc import Callable
from pathlib import Path

SIDE, BATCH, FROZEN = 224, 16, 100


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
