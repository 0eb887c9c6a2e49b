"""How far a whole training is: its stages weighed by what they are expected to cost."""

from dataclasses import replace

from pipeline.training.config import Progress, TrainingConfig, TrainingProgress

# Milliseconds an image, on two cores; only their proportions matter. Learning is for each epoch.
READ, FEATURES, HEAD, LEARN, JUDGE = 4.0, 10.0, 0.05, 25.0, 6.0
EXPORT = 15_000.0  # milliseconds, whatever the images


class TrainingPlan:
    """Passes each step on with `share`, the expected share of the whole training that is done.

    read: images to decode. learned: what an epoch learns from. judged: every image that is
    looked at, to learn from it, to choose by it, or to measure.
    """

    def __init__(
        self,
        progress: Progress,
        *,
        learned: int,
        judged: int,
        config: TrainingConfig,
        read: int = 0,
    ) -> None:
        self._progress = progress
        self._skipped = 0.0  # share of fine-tuning that an earlier run has done
        self._past: dict[str, float] = {}
        self._work = {
            "read": READ * read,
            "features": FEATURES * judged if config.head_epochs else 0.0,
            "head": HEAD * learned * config.head_epochs,
            "fine-tune": LEARN * learned * config.epochs,
            "export": EXPORT,
            "evaluate": 2 * JUDGE * judged,
        }

    def __call__(self, step: TrainingProgress) -> None:
        if step.stage == "resume":
            self._skip(step)
        elif step.stage in self._work:
            self._note(step)
        share = sum(self._past.values()) / max(sum(self._work.values()), 1e-9)
        self._progress(replace(step, share=min(share, 1.0)))

    def _skip(self, step: TrainingProgress) -> None:
        """What need not be repeated is no part of this run's work."""
        self._skipped = step.done / max(step.total, 1)
        self._work["features"] = self._work["head"] = 0.0
        self._work["fine-tune"] *= 1 - self._skipped

    def _note(self, step: TrainingProgress) -> None:
        """Stages follow each other: whatever comes before this one is done."""
        for stage, work in self._work.items():
            if stage == step.stage:
                break
            self._past[stage] = work
        done = step.done / max(step.total, 1)
        if step.stage == "fine-tune":
            done = (done - self._skipped) / max(1 - self._skipped, 1e-9)
        self._past[step.stage] = self._work[step.stage] * done
