"""One training: what it is given, and how it reports its progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.guard import Guard
from pipeline.training.config import TrainingConfig
from pipeline.training.data.balance import Epoch, balance
from pipeline.training.data.dataset import Dataset

STAGES = {  # in their order, with the words for people
    "read": "reading image",
    "features": "computing features, image",
    "head": "training the head, epoch",
    "fine-tune": "fine-tuning, step",
    "export": "exporting, step",
    "evaluate": "evaluating, step",
}
# Milliseconds an image, on two cores; only their proportions matter. TRAIN is for each epoch.
FEATURES, HEAD, TRAIN, EVALUATE = 10.0, 0.05, 25.0, 6.0
EXPORT = 15_000.0  # milliseconds, however many images there are


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """One step of a training.

    stage: one of STAGES; where an earlier training was interrupted, also "resume" (done of total
        epochs need no repeating) or "restart"; "refused" for each file that cannot be read, and
        "note" on the data set.
    done, total: in the stage's own steps. text: the latest metrics, for people.
    share: of the whole training, by expected work, in [0, 1].
    """

    stage: str
    done: int
    total: int
    text: str = ""
    share: float = 0.0

    def describe(self) -> str:
        """Return the step in words, such as "fine-tuning, step 3 of 40 loss 0.1234"."""
        if self.stage not in STAGES:
            return self.text
        return f"{STAGES[self.stage]} {self.done} of {self.total} {self.text}".rstrip()


Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Everything that a training is given.

    indices: intp (m,), the training images that one epoch uses, some perhaps several times; None
        for each of them once. `epoch` repeats those of a stratum's rarer class.
    groups: parts of the validation images, bool (n,), by name. Those that are large enough (see
        `large_groups`) weigh the same for the temperature, and the thresholds hold in each.
    guard: of the parent version, kept as it is; None fits one to all training images.
    test_sets: measured at the very end; they decide nothing.
    card_entries: further entries of the card, from the folder that has all but its card.
    progress: called at each step; what it raises ends the training, whose checkpoint stays.
    """

    config: TrainingConfig
    training: Dataset
    validation: Dataset
    indices: NDArray[np.intp] | None = None
    groups: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    guard: Guard | None = None
    test_sets: Mapping[str, Dataset] = field(default_factory=dict)
    card_entries: Callable[[Path], Mapping[str, Any]] = lambda folder: {}
    progress: Progress = lambda step: None

    @cached_property
    def epoch(self) -> Epoch:
        used = np.arange(len(self.training)) if self.indices is None else self.indices
        share = self.config.rarer_share
        labels, strata = self.training.labels, self.training.strata
        return balance(labels, strata, indices=used, rarer_share=share)


class WeightedProgress:
    """Passes each step on with the expected share of the whole training that is done.

    trained: images of an epoch. evaluated: all images, of whichever split. Reading images takes
    too little to count.
    """

    def __init__(
        self, progress: Progress, *, config: TrainingConfig, trained: int, evaluated: int
    ) -> None:
        self._progress = progress
        self._skipped = 0.0  # share of fine-tuning that an earlier run has done
        self._done = 0.0  # of the work, in its unit
        self._work = {
            "features": FEATURES * evaluated if config.head_epochs else 0.0,
            "head": HEAD * trained * config.head_epochs,
            "fine-tune": TRAIN * trained * config.epochs,
            "export": EXPORT,
            "evaluate": 2 * EVALUATE * evaluated,
        }

    def __call__(self, step: TrainingProgress) -> None:
        if step.stage == "resume":
            self._skip(step)
        elif step.stage in self._work:
            self._count(step)
        share = self._done / max(sum(self._work.values()), 1e-9)
        self._progress(replace(step, share=min(share, 1.0)))

    def _skip(self, step: TrainingProgress) -> None:
        """What need not be repeated is not part of this run's work."""
        self._skipped = step.done / max(step.total, 1)
        self._work["features"] = self._work["head"] = 0.0
        self._work["fine-tune"] *= 1 - self._skipped

    def _count(self, step: TrainingProgress) -> None:
        """Stages follow each other: all stages before this one are done."""
        before = takewhile(lambda stage: stage != step.stage, self._work)
        done = step.done / max(step.total, 1)
        if step.stage == "fine-tune":
            done = (done - self._skipped) / max(1 - self._skipped, 1e-9)
        self._done = sum(self._work[stage] for stage in before) + self._work[step.stage] * done
