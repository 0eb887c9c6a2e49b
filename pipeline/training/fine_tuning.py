"""Fine-tune the upper blocks, epoch by epoch.

Order, augmentation and dropout depend on the seed, the epoch and the step alone: a training that
continues from a checkpoint sees the same batches as one that was not interrupted.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import balanced_weights
from pipeline.training.augmentation import augment
from pipeline.training.checkpoint import Checkpoint, LearningCurves
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Dataset
from pipeline.training.framework import keras, tf
from pipeline.training.network import fold_while_computing, freeze_lower


class FineTuning:
    """A network with its optimizer. Lower blocks are frozen: their gradient is never computed."""

    def __init__(self, network: keras.Model, *, images: int, config: TrainingConfig) -> None:
        """images: of an epoch; the learning rate's decay depends on it."""
        self.config = config
        self.steps = math.ceil(images / config.batch_size)  # of an epoch
        self._network = network
        freeze_lower(network, share=config.frozen_share)
        self.folded = fold_while_computing(network)
        self._trained = network.trainable_variables
        self._optimizer = _make_optimizer(config, steps=max(1, self.steps * config.epochs))
        self._optimizer.build(self._trained)
        self._raw: list[Any] | None = None

    def run_epoch(
        self, batches: Any, *, epoch: int, on_step: Callable[[int, float], None] = lambda *_: None
    ) -> float:
        """Return an epoch's mean loss. on_step: called with the step, from 1, and its loss."""
        self._use_raw()
        self._seed_dropout(epoch)
        step = self._make_step(batches.element_spec)
        losses, sizes = [], []
        for number, batch in enumerate(batches, start=1):
            losses.append(float(step(*batch)))
            sizes.append(len(batch[0]))
            on_step(number, losses[-1])
        return float(np.average(losses, weights=sizes))

    def use_average(self) -> None:
        """Give the network the moving average of its weights, until the next epoch begins."""
        if self._raw is None and int(self._optimizer.iterations) > 0:
            self._raw = [variable.numpy() for variable in self._trained]
            self._optimizer.finalize_variable_values(self._trained)

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
            for variable, value in zip(self._trained, self._raw, strict=True):
                variable.assign(value)
            self._raw = None

    def _seed_dropout(self, epoch: int) -> None:
        """The generator counts up by one a step."""
        for layer in self.folded.layers:
            if generator := getattr(layer, "seed_generator", None):
                generator.state.assign((self.config.seed, epoch * self.steps))

    def _make_step(self, signature: Any) -> Any:
        """Compiled once; it also takes the last, smaller batch of an epoch."""
        if not hasattr(self, "_step"):
            self._step = _compile_step(self.folded, self._trained, self._optimizer, signature)
        return self._step


def _make_optimizer(config: TrainingConfig, *, steps: int) -> Any:
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=config.learning_rate, warmup_steps=steps // 20
    )
    return keras.optimizers.AdamW(
        rate, weight_decay=config.weight_decay, use_ema=True, ema_momentum=config.average_momentum
    )


def _compile_step(network: keras.Model, trained: Any, optimizer: Any, signature: Any) -> Any:
    def step(images: Any, labels: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses[:, 0] * weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return loss

    # Compiled convolutions (XLA's) are slower on processors.
    return tf.function(step, input_signature=signature, autograph=False, jit_compile=False)


def make_batches(
    dataset: Dataset, *, config: TrainingConfig, indices: NDArray[np.intp] | None = None
) -> Callable[[int], Any]:
    """epoch -> its batches: images uint8 (b, size, size), labels float32 (b, 1), weights (b,).

    indices: the images of an epoch, (m,); None for each of them once. Each epoch shuffles and
    augments them in its own way, one step ahead of the training.
    """
    images, labels = tf.constant(dataset.images), tf.constant(dataset.labels[:, None], tf.float32)
    used = np.arange(len(dataset)) if indices is None else indices
    both_equal = np.zeros(len(dataset))  # both classes weigh the same in an epoch
    both_equal[used] = balanced_weights(dataset.labels[used])
    weights = tf.constant(both_equal, tf.float32)

    def take(step: Any, batch: Any) -> tuple[Any, Any, Any]:
        seed = tf.stack([config.seed, tf.cast(step, tf.int32)])
        augmented = augment(tf.gather(images, batch), seed=seed, config=config)
        return augmented, tf.gather(labels, batch), tf.gather(weights, batch)

    # Traced once for all epochs; there are no branches for autograph to look for.
    signature = [tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int32)]
    traced = tf.function(take, input_signature=signature, autograph=False)

    def batches_of(epoch: int) -> Any:
        order = np.random.default_rng((config.seed, epoch)).permutation(used)
        shuffled = tf.data.Dataset.from_tensor_slices(order.astype(np.int32))
        first = epoch * math.ceil(len(used) / config.batch_size)
        numbered = shuffled.batch(config.batch_size).enumerate(start=first)
        return numbered.map(traced).prefetch(2)

    return batches_of
