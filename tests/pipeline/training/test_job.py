"""Progress of a training: shares and words."""

from typing import Any

import pytest

from pipeline.training.config import TrainingConfig
from pipeline.training.job import TrainingProgress, WeightedProgress


def test_share_grows_over_all_stages_and_ends_at_one() -> None:
    steps = steps_of(
        ("read", 100), ("features", 50), ("head", 2), ("fine-tune", 10), ("export", 1),
        ("evaluate", 20),
    )  # fmt: skip
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    judged = [step.share for step in steps if step.stage == "evaluate"]
    assert judged[-2] < 1, "its end is a step, too"
    assert len(set(judged)) == 21, "every step counts"
    learned = [step.share for step in steps if step.stage == "fine-tune"]
    assert learned[-1] - learned[0] > 0.5 * (shares[-1] - shares[0]), "it takes most of the time"


def test_share_ignores_work_of_an_earlier_run() -> None:
    resumed = TrainingProgress(stage="resume", done=4, total=5)
    steps = steps_of(("read", 100), resumed, ("fine-tune", 10, 8), ("export", 1), ("evaluate", 1))
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    learned = [step.share for step in steps if step.stage == "fine-tune"]
    assert learned[0] == 0, "what came before is not this run's work"
    assert learned[-1] == pytest.approx(8 * 25 / 5 / (8 * 25 / 5 + 3 + 12)), (
        "8 epochs, export, rest"
    )


def steps_of(*stages: Any) -> list[TrainingProgress]:
    """Each stage is (name, total) or (name, total, first), or a step of its own."""
    steps: list[TrainingProgress] = []
    weighted = WeightedProgress(steps.append, config=TrainingConfig(), trained=5000, evaluated=5000)
    for stage in stages:
        if isinstance(stage, TrainingProgress):
            weighted(stage)
            continue
        name, total, *first = stage
        for done in range(first[0] if first else 0, total + 1):
            weighted(TrainingProgress(stage=name, done=done, total=total))
    return steps


def test_describe_names_stage_and_step() -> None:
    step = TrainingProgress(stage="fine-tune", done=3, total=40, text="loss 0.1234")
    assert step.describe() == "fine-tuning, step 3 of 40 loss 0.1234"
    assert (
        TrainingProgress(stage="resume", done=1, total=2, text="resuming").describe() == "resuming"
    )
