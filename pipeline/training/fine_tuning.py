"""Teaching the upper blocks, epoch by epoch, so that every epoch can be the last or the next.

Order, augmentation and dropout depend on the seed, the epoch and the step alone: a training that
goes on from a checkpoint sees what it would have seen.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import balanced_weights
from pipeline.training.checkpoint import Checkpoint, LearningCurves
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Dataset
from pipeline.training.folded_network import folded_twin
from pipeline.training.network import freeze_lower

if TYPE_CHECKING:
    import keras


class FineTuning:
    """A network with its optimizer. Lower blocks stand still; their gradient is never computed."""

    def __init__(self, network: "keras.Model", *, images: int, config: TrainingConfig) -> None:
        """images: how many an epoch learns from; the learning rate's fall depends on it."""
        self.config = config
        self.steps = math.ceil(images / config.batch_size)  # of an epoch
        self._network = network
        freeze_lower(network, share=config.frozen_share)
        self.twin = folded_twin(network)
        self._learned = network.trainable_variables
        self._optimizer = _make_optimizer(config, steps=max(1, self.steps * config.epochs))
        self._optimizer.build(self._learned)
        self._raw: list[Any] | None = None

    def run_epoch(
        self, batches: Any, *, epoch: int, told: Callable[[int, float], None] = lambda *_: None
    ) -> float:
        """Mean loss of one epoch's batches. told: hears the step, from 1, and its loss."""
        self._use_raw()
        self._seed_dropout(epoch)
        step = self._make_step(batches.element_spec)
        losses, sizes = [], []
        for place, batch in enumerate(batches):
            losses.append(float(step(*batch)))
            sizes.append(len(batch[0]))
            told(place + 1, losses[-1])
        return float(np.average(losses, weights=sizes))

    def use_average(self) -> None:
        """From here to the next epoch the network holds the weights' moving average."""
        if self._raw is None and int(self._optimizer.iterations) > 0:
            self._raw = [variable.numpy() for variable in self._learned]
            self._optimizer.finalize_variable_values(self._learned)

    def checkpoint(self, *, epochs_done: int, curves: LearningCurves) -> Checkpoint:
        self._use_raw()
        weights = self._network.get_weights()
        optimizer = [variable.numpy() for variable in self._optimizer.variables]
        return Checkpoint(epochs_done, weights, optimizer, curves)

    def restore(self, checkpoint: Checkpoint) -> None:
        self._network.set_weights(checkpoint.weights)
        for variable, value in zip(self._optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)

    def _use_raw(self) -> None:
        if self._raw is not None:
            for variable, value in zip(self._learned, self._raw, strict=True):
                variable.assign(value)
            self._raw = None

    def _seed_dropout(self, epoch: int) -> None:
        """The generator counts up by one a step."""
        for layer in self.twin.layers:
            if generator := getattr(layer, "seed_generator", None):
                generator.state.assign((self.config.seed, epoch * self.steps))

    def _make_step(self, signature: Any) -> Any:
        """Compiled once; the last, smaller batch of an epoch needs no other."""
        if not hasattr(self, "_step"):
            self._step = _compile_step(self.twin, self._learned, self._optimizer, signature)
        return self._step


def _make_optimizer(config: TrainingConfig, *, steps: int) -> Any:
    import keras

    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=config.learning_rate, warmup_steps=steps // 20
    )
    return keras.optimizers.AdamW(
        rate,
        weight_decay=config.weight_decay,
        use_ema=True,
        ema_momentum=config.average_momentum,
    )


def _compile_step(twin: "keras.Model", learned: Any, optimizer: Any, signature: Any) -> Any:
    import tensorflow as tf

    def step(images: Any, labels: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = twin(images, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses[:, 0] * weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))
        return loss

    # Compiled convolutions (XLA's) are slower on processors.
    return tf.function(step, input_signature=signature, autograph=False, jit_compile=False)


def make_batches(
    train: Dataset, *, config: TrainingConfig, places: NDArray[np.intp] | None = None
) -> Callable[[int], Any]:
    """epoch -> its batches: images uint8 (b, size, size), labels float32 (b, 1), weights (b,).

    places: which images an epoch learns from, (m,); None for each of them once.

    The images lie in memory; each epoch shuffles and augments them anew, while the step before
    is computed.
    """
    import tensorflow as tf

    from pipeline.training.augmentation import augment

    images, labels = tf.constant(train.images), tf.constant(train.labels[:, None], tf.float32)
    lesson = np.arange(len(train)) if places is None else places
    weights = tf.constant(_weights(train.labels, lesson), tf.float32)
    shares = config.augmentation_shares()

    def take(step: Any, places: Any) -> tuple[Any, Any, Any]:
        seed = tf.stack([config.seed, tf.cast(step, tf.int32)])
        chosen = augment(tf.gather(images, places), seed=seed, shares=shares)
        return chosen, tf.gather(labels, places), tf.gather(weights, places)

    # One tracing for all epochs; the views have no branches for autograph to look for.
    signature = [tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int32)]
    traced = tf.function(take, input_signature=signature, autograph=False)

    def batches_of(epoch: int) -> Any:
        order = np.random.default_rng((config.seed, epoch)).permutation(lesson)
        places = tf.data.Dataset.from_tensor_slices(order.astype(np.int32))
        first = epoch * math.ceil(len(lesson) / config.batch_size)
        numbered = places.batch(config.batch_size).enumerate(start=first)
        return numbered.map(traced).prefetch(2)

    return batches_of


def _weights(labels: NDArray[np.uint8], lesson: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of every image, so that both classes weigh the same in an epoch."""
    weights = np.zeros(len(labels))
    weights[lesson] = balanced_weights(labels[lesson])
    return weights
