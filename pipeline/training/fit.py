"""Teaching a network: the head first, then the upper blocks; a checkpoint after each epoch.

A network's answers for many images: traced once, and the caller hears how far it is.

Teaching the head: the trunk stands still, so its features are computed once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import balanced_weights
from pipeline.evaluation.metrics import auroc
from pipeline.inference.gradcam import HEAD
from pipeline.inference.tensorflow_engine import import_tensorflow
from pipeline.training.checkpoint import (
    LearningCurves,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    training_key,
)
from pipeline.training.config import Progress, TrainingConfig, TrainingProgress
from pipeline.training.dataset import Dataset
from pipeline.training.fine_tuning import FineTuning, make_batches
from pipeline.training.network import build_network

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]


class Forward:
    """Keras's own `predict` traces anew for each network and tells nobody anything."""

    def __init__(self, network: "keras.Model") -> None:
        import tensorflow as tf

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
        told: Callable[[int], None] = lambda done: None,
    ) -> list[Floats]:
        """uint8 (n, size, size) -> each output, float32 (n, its width). told: images done."""
        import tensorflow as tf

        answers = [np.empty((len(images), width), np.float32) for width in self._widths]
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            for answer, part in zip(answers, tf.nest.flatten(self._compute(batch)), strict=True):
                answer[start : start + len(batch)] = part.numpy()
            told(start + len(batch))
        return answers


def fit_head(
    network: "keras.Model",
    features: Floats,
    labels: NDArray[np.uint8],
    *,
    seen: Floats,
    config: TrainingConfig,
    told: Callable[[float, Floats], None],
) -> None:
    """Let the network's head learn from where it is.

    features: float32 (n, channels), pooled, of the images of labels (n,) in {0, 1}; seen: those
    of the validation images. told: hears each epoch's training loss and validation logits (m,).
    """
    import keras

    entry = keras.Input((features.shape[1],))
    head = keras.Model(entry, network.get_layer(HEAD)(entry))
    head.compile(
        keras.optimizers.Adam(config.head_learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    weights = balanced_weights(labels)
    for _ in range(config.head_epochs):
        history = head.fit(
            features, labels[:, None], sample_weight=weights,
            batch_size=config.batch_size, verbose=0,
        )  # fmt: skip
        kernel, bias = network.get_layer(HEAD).get_weights()
        told(history.history["loss"][0], (seen @ kernel + bias)[:, 0])


def fit_network(
    train: Dataset,
    validation: Dataset,
    *,
    config: TrainingConfig,
    progress: Progress,
    places: NDArray[np.intp] | None = None,
    checkpoints: Path | None = None,
) -> tuple["keras.Model", LearningCurves]:
    """Build and train a network. The weights returned are the moving average's.

    places: which of the training images an epoch learns from, intp (m,), some perhaps several
    times; None for each once. checkpoints: a folder to go on from, and to keep how far this came;
    the caller removes it.
    Two equal runs on one machine, or one that was interrupted, give the same weights: logits of
    a toy network agree within 0.0001. Other processors and versions round otherwise.
    """
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(config.seed)
    network = build_network(
        size=config.size,
        alpha=config.alpha,
        dropout=config.dropout,
        start_weights=config.start_weights,
    )
    used, lesson = np.unique(
        np.arange(len(train)) if places is None else places, return_inverse=True
    )
    learned = train if len(used) == len(train) else train.where(used)
    run = _Run(network, learned, validation, lesson=lesson, config=config, progress=progress)
    key = training_key(learned, validation, config=config, lesson=lesson)
    done = run.resume(checkpoints, key=key) if checkpoints else None
    if done is None:
        run.fit_head()
        done = 0
        run.keep(done, checkpoints, key=key)
    for epoch in range(done, config.epochs):
        run.fine_tune(epoch)
        run.keep(epoch + 1, checkpoints, key=key)
    run.tuning.use_average()
    return network, run.curves


def predict_logits(network: "keras.Model", images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, size, size) -> float32 (n,)."""
    (logits,) = Forward(network)(images)
    return logits[:, 0]


_OTHER = "what was begun there had other settings, images or start weights: starts afresh"


class _Run:
    """One training: what it learns from, what it has come to, and whom it tells."""

    def __init__(
        self,
        network: "keras.Model",
        train: Dataset,
        validation: Dataset,
        *,
        lesson: NDArray[np.intp],
        config: TrainingConfig,
        progress: Progress,
    ) -> None:
        self._config, self._progress = config, progress
        self._train, self._validation, self._lesson = train, validation, lesson
        self.tuning = FineTuning(network, images=len(lesson), config=config)
        self._look = Forward(_with_features(self.tuning.twin))
        self._batches_of = make_batches(train, config=config, places=lesson)
        self.curves = LearningCurves(head_epochs=config.head_epochs)

    def resume(self, folder: Path, *, key: str) -> int | None:
        """How many epochs are done already, with 0 for the head alone; None for nothing."""
        found = load_checkpoint(folder, key=key)
        if found is None:
            if has_checkpoint(folder):
                self._tell("restart", 0, text=_OTHER)
            return None
        self.tuning.restore(found)
        self.curves = found.curves
        self._tell("resume", found.epochs_done, text=f"goes on after epoch {found.epochs_done}")
        return found.epochs_done

    def keep(self, epochs_done: int, folder: Path | None, *, key: str) -> None:
        if folder is not None:
            checkpoint = self.tuning.checkpoint(epochs_done=epochs_done, curves=self.curves)
            save_checkpoint(checkpoint, folder, key=key)

    def fit_head(self) -> None:
        total = self._config.head_epochs
        if not total:
            return

        def told(loss: float, logits: NDArray[np.float32]) -> None:
            self._note(loss, logits)
            self._tell("head", len(self.curves.loss), total=total, text=_latest(self.curves))

        features, seen = self._features()
        fit_head(
            self.tuning.twin, features[self._lesson], self._train.labels[self._lesson],
            seen=seen, config=self._config, told=told,
        )  # fmt: skip

    def _features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the trunk makes of the training and of the validation images."""
        before, total = len(self._train), len(self._train) + len(self._validation)
        self._tell("features", 0, total=total)

        def told(done: int) -> None:
            self._tell("features", done, total=total)

        features, _ = self._look(self._train.images, told=told)
        seen, _ = self._look(self._validation.images, told=lambda done: told(before + done))
        return features, seen

    def fine_tune(self, epoch: int) -> None:
        steps = self.tuning.steps
        before, total = epoch * steps, self._config.epochs * steps

        def told(step: int, loss: float) -> None:
            if step < steps:  # the last one is told with the epoch's figures
                self._tell("fine-tune", before + step, total=total, text=f"loss {loss:.4f}")

        def looked(_: int) -> None:
            self._tell("fine-tune", before + steps - 1, total=total, text="validation")

        loss = self.tuning.run_epoch(self._batches_of(epoch), epoch=epoch, told=told)
        self.tuning.use_average()  # so that the curves show what is kept
        _, logits = self._look(self._validation.images, told=looked)
        self._note(loss, logits[:, 0])
        self._tell("fine-tune", before + steps, total=total, text=_latest(self.curves))

    def _note(self, loss: float, logits: NDArray[np.float32]) -> None:
        labels = self._validation.labels
        signed = np.where(labels == 1, logits, -logits).astype(np.float64)
        weighted = balanced_weights(labels) * np.logaddexp(0, -signed)
        self.curves.loss.append(float(loss))
        self.curves.validation_loss.append(float(weighted.mean()))
        self.curves.validation_auroc.append(auroc(labels, logits))

    def _tell(self, stage: str, done: int, *, total: int | None = None, text: str = "") -> None:
        whole = self._config.epochs if total is None else total
        self._progress(TrainingProgress(stage=stage, done=done, total=whole, text=text))


def _with_features(twin: "keras.Model") -> "keras.Model":
    """The pooled features beside the logit."""
    import keras

    return keras.Model(twin.input, [twin.get_layer("features").output, twin.output])


def _latest(curves: LearningCurves) -> str:
    return (
        f"loss {curves.loss[-1]:.4f}, validation loss {curves.validation_loss[-1]:.4f}, "
        f"validation AUROC {curves.validation_auroc[-1]:.4f}"
    )
