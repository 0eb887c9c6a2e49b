"""Train a network: the head first, then the upper blocks; a checkpoint after each epoch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import log_loss
from pipeline.evaluation.metrics import auroc
from pipeline.inference.gradcam import HEAD
from pipeline.training.checkpoint import (
    LearningCurves,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    training_key,
)
from pipeline.training.data.balance import stratified_weights
from pipeline.training.fine_tuning import FineTuning, make_batches
from pipeline.training.framework import keras, tf
from pipeline.training.job import TrainingJob, TrainingProgress
from pipeline.training.network import build_network

Floats = NDArray[np.float32]

_OTHER_TRAINING = "the checkpoint has other settings, images or start weights: starting afresh"


class Forward:
    """A network's outputs for many images; Keras's `predict` traces each network again."""

    def __init__(self, network: keras.Model) -> None:
        signature = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)
        self._widths = [output.shape[1] for output in network.outputs]
        self._compute = tf.function(
            lambda images: network(images, training=False),
            input_signature=[signature],
            autograph=False,
            jit_compile=False,
        )

    def __call__(
        self,
        images: NDArray[np.uint8],
        *,
        batch_size: int = 64,
        on_batch: Callable[[int], None] = lambda done: None,
    ) -> list[Floats]:
        """uint8 (n, size, size) -> each output, float32 (n, its width). on_batch: images done."""
        outputs = [np.empty((len(images), width), np.float32) for width in self._widths]
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            for output, part in zip(outputs, tf.nest.flatten(self._compute(batch)), strict=True):
                output[start : start + len(batch)] = part.numpy()
            on_batch(start + len(batch))
        return outputs


def fit_network(
    job: TrainingJob, *, checkpoints: Path | None = None
) -> tuple[keras.Model, LearningCurves]:
    """Build and train a network. The weights returned are the moving average's.

    checkpoints: a folder to continue from, and to save each epoch in; the caller removes it.
    Two equal runs on one machine, or one that was interrupted, give the same weights: logits of
    a toy network agree within 0.0001. Other processors and versions round otherwise.
    """
    config = job.config
    keras.utils.set_random_seed(config.seed)
    network = build_network(
        size=config.size,
        alpha=config.alpha,
        dropout=config.dropout,
        start_weights=config.start_weights,
    )
    if job.indices is not None:
        used, indices = np.unique(job.indices, return_inverse=True)
        job = replace(job, training=job.training.where(used), indices=indices)
    run = _Run(network, job, checkpoints)
    done = run.resume()
    if done is None:
        run.fit_head()
        done = 0
        run.save(done)
    for epoch in range(done, config.epochs):
        run.fine_tune(epoch)
        run.save(epoch + 1)
    run.tuning.use_average()
    return network, run.curves


class _Run:
    """A training at work, with the curves so far."""

    def __init__(self, network: keras.Model, job: TrainingJob, checkpoints: Path | None) -> None:
        self._job, self._checkpoints = job, checkpoints
        self._key = training_key(job) if checkpoints else ""
        self.tuning = FineTuning(network, images=len(job.epoch.indices), config=job.config)
        folded = self.tuning.folded
        outputs = [folded.get_layer("features").output, folded.output]
        self._forward = Forward(keras.Model(folded.input, outputs))
        self._batches_of = make_batches(job.training, epoch=job.epoch, config=job.config)
        self.curves = LearningCurves(head_epochs=job.config.head_epochs)

    def resume(self) -> int | None:
        """Return how many epochs are done already, 0 for the head alone; None for nothing."""
        if self._checkpoints is None:
            return None
        found = load_checkpoint(self._checkpoints, key=self._key)
        epochs = self._job.config.epochs
        if found is None:
            if has_checkpoint(self._checkpoints):
                self._report("restart", 0, epochs, _OTHER_TRAINING)
            return None
        self.tuning.restore(found)
        self.curves = found.curves
        self._report(
            "resume", found.epochs_done, epochs, f"resuming after epoch {found.epochs_done}"
        )
        return found.epochs_done

    def save(self, epochs_done: int) -> None:
        if self._checkpoints is not None:
            checkpoint = self.tuning.checkpoint(epochs_done=epochs_done, curves=self.curves)
            save_checkpoint(checkpoint, self._checkpoints, key=self._key)

    def fit_head(self) -> None:
        """Train the head from where it is; the trunk's features are computed once."""
        job, config = self._job, self._job.config
        if not config.head_epochs:
            return
        features, validation_features = self._pooled_features()
        indices = job.epoch.indices
        features, labels = features[indices], job.training.labels[indices]
        weights = job.epoch.weights[indices]
        layer = self.tuning.folded.get_layer(HEAD)
        entry = keras.Input((features.shape[1],))
        head = keras.Model(entry, layer(entry))
        head.compile(
            keras.optimizers.Adam(config.head_learning_rate),
            keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=False,
        )
        for epoch in range(config.head_epochs):
            history = head.fit(
                features, labels[:, None], sample_weight=weights,
                batch_size=config.batch_size, verbose=0,
            )  # fmt: skip
            kernel, bias = layer.get_weights()
            logits = (validation_features @ kernel + bias)[:, 0]
            self._add_to_curves(history.history["loss"][0], logits)
            self._report("head", epoch + 1, config.head_epochs, _latest(self.curves))

    def _pooled_features(self) -> tuple[Floats, Floats]:
        """float32 (n, channels), of the training and of the validation images."""
        before = len(self._job.training)
        images = before + len(self._job.validation)

        def show(done: int) -> None:
            self._report("features", done, images)

        show(0)
        features, _ = self._forward(self._job.training.images, on_batch=show)
        validation_features, _ = self._forward(
            self._job.validation.images, on_batch=lambda done: show(before + done)
        )
        return features, validation_features

    def fine_tune(self, epoch: int) -> None:
        steps = self.tuning.steps
        before, total = epoch * steps, self._job.config.epochs * steps

        def on_step(step: int, loss: float) -> None:
            if step < steps:  # the last one is reported with the epoch's metrics
                self._report("fine-tune", before + step, total, f"loss {loss:.4f}")

        def on_batch(_: int) -> None:
            self._report("fine-tune", before + steps - 1, total, "validation")

        loss = self.tuning.run_epoch(self._batches_of(epoch), epoch=epoch, on_step=on_step)
        self.tuning.use_average()  # so that the curves show what is kept
        _, logits = self._forward(self._job.validation.images, on_batch=on_batch)
        self._add_to_curves(loss, logits[:, 0])
        self._report("fine-tune", before + steps, total, _latest(self.curves))

    def _add_to_curves(self, loss: float, logits: Floats) -> None:
        labels = self._job.validation.labels
        weights = stratified_weights(labels, self._job.validation.strata)
        validation_loss = log_loss(labels, logits, weights=weights)
        self.curves.loss.append(float(loss))
        self.curves.validation_loss.append(validation_loss)
        self.curves.validation_auroc.append(auroc(labels, logits))

    def _report(self, stage: str, done: int, total: int, text: str = "") -> None:
        self._job.progress(TrainingProgress(stage=stage, done=done, total=total, text=text))


def _latest(curves: LearningCurves) -> str:
    return (
        f"loss {curves.loss[-1]:.4f}, validation loss {curves.validation_loss[-1]:.4f}, "
        f"validation AUROC {curves.validation_auroc[-1]:.4f}"
    )
