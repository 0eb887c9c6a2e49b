"""Teaching a network: the head first, on features computed once, then the upper blocks."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import balanced_weights
from pipeline.dataset import Dataset
from pipeline.learning_curves import LearningCurves
from pipeline.metrics import auroc
from pipeline.network import HEAD, build_network, freeze_lower
from pipeline.tensorflow_setup import import_tensorflow
from pipeline.training_config import TrainingConfig, TrainingProgress

if TYPE_CHECKING:
    import keras

Progress = Callable[[TrainingProgress], None]


def fit_network(
    train: Dataset, validation: Dataset, *, config: TrainingConfig, progress: Progress
) -> tuple["keras.Model", LearningCurves]:
    """Build and train a network. The weights returned are the moving average's."""
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(config.seed)
    network = build_network(
        size=config.size,
        alpha=config.alpha,
        dropout=config.dropout,
        start_weights=config.start_weights,
    )
    curves = LearningCurves(head_epochs=config.head_epochs)
    _fit_head(network, train, validation, config=config, curves=curves, progress=progress)
    _fine_tune(network, train, validation, config=config, curves=curves, progress=progress)
    return network, curves


def predict_logits(
    network: "keras.Model", images: NDArray[np.uint8], *, batch_size: int = 64
) -> NDArray[np.float32]:
    """uint8 (n, size, size) -> float32 (n,)."""
    logits: NDArray[np.float32] = network.predict(images, batch_size=batch_size, verbose=0)[:, 0]
    return logits


def _fit_head(
    network: "keras.Model",
    train: Dataset,
    validation: Dataset,
    *,
    config: TrainingConfig,
    curves: LearningCurves,
    progress: Progress,
) -> None:
    """The trunk stands still, so its features are computed once; then an epoch takes a moment."""
    import keras

    trunk = keras.Model(network.input, network.get_layer("features").output)
    progress(TrainingProgress(stage="head", done=0, total=config.head_epochs))
    features = trunk.predict(train.images, batch_size=64, verbose=0)
    seen = trunk.predict(validation.images, batch_size=64, verbose=0)
    entry = keras.Input((features.shape[1],))
    head = keras.Model(entry, network.get_layer(HEAD)(entry))
    head.compile(
        keras.optimizers.Adam(config.head_learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    weights = balanced_weights(train.labels)
    for epoch in range(config.head_epochs):
        history = head.fit(
            features, train.labels[:, None], sample_weight=weights,
            batch_size=config.batch_size, verbose=0,
        )  # fmt: skip
        logits = head.predict(seen, batch_size=512, verbose=0)[:, 0]
        _note(curves, history.history["loss"][0], validation, logits)
        progress(
            TrainingProgress(
                stage="head", done=epoch + 1, total=config.head_epochs, text=_latest(curves)
            )
        )


def _note(
    curves: LearningCurves, loss: float, validation: Dataset, logits: NDArray[np.float32]
) -> None:
    signed = np.where(validation.labels == 1, logits, -logits).astype(np.float64)
    weighted = balanced_weights(validation.labels) * np.logaddexp(0, -signed)
    curves.loss.append(float(loss))
    curves.validation_loss.append(float(weighted.mean()))
    curves.validation_auroc.append(auroc(validation.labels, logits))


def _latest(curves: LearningCurves) -> str:
    return (
        f"loss {curves.loss[-1]:.4f}, validation loss {curves.validation_loss[-1]:.4f}, "
        f"validation AUROC {curves.validation_auroc[-1]:.4f}"
    )


def _fine_tune(
    network: "keras.Model",
    train: Dataset,
    validation: Dataset,
    *,
    config: TrainingConfig,
    curves: LearningCurves,
    progress: Progress,
) -> None:
    import keras

    if not config.epochs:
        return
    freeze_lower(network, share=config.frozen_share)
    steps = math.ceil(len(train) / config.batch_size) * config.epochs
    network.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                0.0, steps, warmup_target=config.learning_rate, warmup_steps=steps // 20
            ),
            weight_decay=config.weight_decay,
            use_ema=True,
            ema_momentum=config.average_momentum,
        ),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # compiled convolutions are slower on processors
    )

    reporter = _Reporter(network, validation, curves=curves, steps=steps, progress=progress)
    report = keras.callbacks.LambdaCallback(
        on_train_batch_end=reporter.on_batch, on_epoch_end=reporter.on_epoch
    )
    network.fit(
        _batches(train, config=config),
        epochs=config.epochs,
        shuffle=False,  # the batches come shuffled
        # The average's weights are swapped in first, so that the curves show what is kept.
        callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True), report],
        verbose=0,
    )


class _Reporter:
    """Tells how far fine-tuning is."""

    def __init__(
        self,
        network: "keras.Model",
        validation: Dataset,
        *,
        curves: LearningCurves,
        steps: int,
        progress: Progress,
    ) -> None:
        self._network = network
        self._validation = validation
        self._curves = curves
        self._steps = steps
        self._progress = progress
        self._done = 0

    def on_batch(self, _batch: int, logs: dict[str, float]) -> None:
        self._done += 1
        self._tell(f"loss {logs['loss']:.4f}")

    def on_epoch(self, _epoch: int, logs: dict[str, float]) -> None:
        logits = predict_logits(self._network, self._validation.images)
        _note(self._curves, logs["loss"], self._validation, logits)
        self._tell(_latest(self._curves))

    def _tell(self, text: str) -> None:
        step = TrainingProgress(stage="fine-tune", done=self._done, total=self._steps, text=text)
        self._progress(step)


def _batches(train: Dataset, *, config: TrainingConfig) -> Any:
    """An endless supply is not needed: one pass, newly shuffled and newly augmented each time."""
    import tensorflow as tf

    from pipeline.augmentation import augment

    images, labels = tf.constant(train.images), tf.constant(train.labels[:, None], tf.float32)
    weights = tf.constant(balanced_weights(train.labels), tf.float32)

    def take(places: Any) -> tuple[Any, Any, Any]:
        chosen = augment(tf.gather(images, places))
        return chosen, tf.gather(labels, places), tf.gather(weights, places)

    places = tf.data.Dataset.range(len(train)).shuffle(len(train), seed=config.seed)
    return places.batch(config.batch_size).map(take).prefetch(2)
