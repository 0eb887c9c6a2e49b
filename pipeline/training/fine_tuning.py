"""Fine-tune the upper blocks, epoch by epoch.

Order, augmentation and dropout depend on the seed, the epoch and the step alone: a training that
continues from a checkpoint sees the same batches as one that was not interrupted.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.inference.gradcam import FEATURE_MAP, HEAD
from pipeline.training.checkpoint import Checkpoint, LearningCurves
from pipeline.training.config import TrainingConfig
from pipeline.training.data.augmentation import augment_with_places
from pipeline.training.data.balance import Epoch
from pipeline.training.data.dataset import Dataset
from pipeline.training.framework import keras, tf
from pipeline.training.network import fold_while_computing, freeze_lower
from pipeline.training.place import lung_prior, share_outside


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
            weight = self.config.place_weight
            self._step = _compile_step(
                self.folded, self._trained, self._optimizer, signature, place_weight=weight
            )
        return self._step


def _make_optimizer(config: TrainingConfig, *, steps: int) -> Any:
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=config.learning_rate, warmup_steps=steps // 20
    )
    return keras.optimizers.AdamW(
        rate, weight_decay=config.weight_decay, use_ema=True, ema_momentum=config.average_momentum
    )


def _compile_step(
    network: keras.Model, trained: Any, optimizer: Any, signature: Any, *, place_weight: float
) -> Any:
    maps = keras.Model(network.input, [network.get_layer(FEATURE_MAP).output, network.output])
    head = network.get_layer(HEAD)

    def step(images: Any, labels: Any, weights: Any, places: Any) -> Any:
        with tf.GradientTape() as tape:
            feature_map, logits = maps(images, training=True)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)[:, 0]
            loss = tf.reduce_mean(losses * weights)
            total = loss
            if place_weight:
                outside = share_outside(feature_map, head.kernel, places) * labels[:, 0]
                total += place_weight * tf.reduce_mean(outside * weights)
        optimizer.apply_gradients(zip(tape.gradient(total, trained), trained, strict=True))
        return loss

    # Compiled convolutions (XLA's) are slower on processors.
    return tf.function(step, input_signature=signature, autograph=False, jit_compile=False)


def make_batches(dataset: Dataset, *, epoch: Epoch, config: TrainingConfig) -> Callable[[int], Any]:
    """epoch -> its batches: images uint8 (b, size, size), labels float32 (b, 1), weights (b,),
    and the places where pneumonia may be, float32 (b, k, k).

    epoch: of the dataset's images. Each shuffles and augments them in its own way, one step ahead
    of the training.
    """
    images, labels = tf.constant(dataset.images), tf.constant(dataset.labels[:, None], tf.float32)
    weights, prior = tf.constant(epoch.weights, tf.float32), tf.constant(lung_prior())

    def take(step: Any, batch: Any) -> tuple[Any, Any, Any, Any]:
        seed = tf.stack([config.seed, tf.cast(step, tf.int32)])
        places = tf.tile(prior[None], (tf.shape(batch)[0], 1, 1))
        augmented, moved = augment_with_places(
            tf.gather(images, batch), places, seed=seed, config=config
        )
        return augmented, tf.gather(labels, batch), tf.gather(weights, batch), moved

    # Traced once for all epochs; there are no branches for autograph to look for.
    signature = [tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int32)]
    traced = tf.function(take, input_signature=signature, autograph=False)

    def batches_of(number: int) -> Any:
        order = np.random.default_rng((config.seed, number)).permutation(epoch.indices)
        shuffled = tf.data.Dataset.from_tensor_slices(order.astype(np.int32))
        first = number * math.ceil(len(order) / config.batch_size)
        numbered = shuffled.batch(config.batch_size).enumerate(start=first)
        return numbered.map(traced).prefetch(2)

    return batches_of
