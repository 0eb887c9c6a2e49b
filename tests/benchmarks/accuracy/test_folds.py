"""Folds of patients and of origins, and what is kept of their trainings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.folds import (
    Answers,
    Fold,
    fit_fold,
    join,
    origin_folds,
    patient_folds,
    sample,
)
from pipeline.subject import Subject
from pipeline.training.data.dataset import Dataset
from tests.support.imaging.networks import TOY

LABELS = np.array([0, 0, 1, 0, 1, 1, 0, 1], np.uint8)
DATA = Dataset(
    np.arange(8 * 64 * 64, dtype=np.uint8).reshape(8, 64, 64),
    LABELS,
    np.array(list("aabbccdd")),
    np.array(["x", "y", "x", "x", "y", "y", "z", "z"]),
    [Subject("adults", "PA")] * 4 + [Subject("children")] * 4,
)


def test_patient_folds_hold_each_patient_out_once() -> None:
    folds = patient_folds(DATA, folds=3)
    assert [fold.name for fold in folds] == ["1-of-3", "2-of-3", "3-of-3"]
    np.testing.assert_array_equal(sum(fold.held_out.astype(int) for fold in folds), 1)
    for fold in folds:
        held_out, learned = DATA.patients[fold.held_out], DATA.patients[~fold.held_out]
        assert not set(held_out) & set(learned)


def test_origin_folds_hold_out_patients_who_are_elsewhere_too() -> None:
    folds = {fold.name: set(DATA.patients[fold.held_out]) for fold in origin_folds(DATA)}
    assert folds == {"without-x": set("ab"), "without-y": set("ac"), "without-z": set("d")}


def test_sample_takes_so_many_of_each_class_of_each_stratum() -> None:
    found = sample(DATA, images=1, seed=3)
    assert sorted(zip(found.strata, found.labels, strict=True)) == [
        ("adults PA", 0), ("adults PA", 1), ("children ", 0), ("children ", 1),
    ]  # fmt: skip
    assert len(sample(DATA, images=100, seed=3)) == len(DATA)


def test_join_puts_answers_at_their_images() -> None:
    logits = np.arange(4, dtype=np.float32)
    heatmaps = np.repeat(logits, 4).reshape(4, 2, 2)
    folds = [Fold("b", np.array([0, 1, 0, 1], np.bool_)), Fold("a", np.array([1, 0, 1, 0], bool))]
    parts = {fold.name: Answers(logits[fold.held_out], heatmaps[fold.held_out]) for fold in folds}
    joined = join(parts, folds)
    np.testing.assert_array_equal(joined.logits, logits)
    np.testing.assert_array_equal(joined.heatmaps, heatmaps)


@pytest.mark.tensorflow
def test_finished_fold_is_not_trained_again(tmp_path: Path) -> None:
    fold = Fold("1-of-2", np.arange(8) < 3)
    config = replace(TOY, epochs=0, head_epochs=1)
    steps: list[str] = []
    answers, again = (
        fit_fold(
            DATA,
            fold,
            {"held out": DATA.images[fold.held_out], "others": DATA.images[:1]},
            config=config,
            folder=tmp_path,
            progress=lambda step: steps.append(step.stage),
        )
        for _ in range(2)
    )
    assert steps.count("head") == 1
    assert answers.keys() == again.keys() == {"held out", "others"}
    for name, answer in answers.items():
        np.testing.assert_array_equal(answer.logits, again[name].logits)
        np.testing.assert_array_equal(answer.heatmaps, again[name].heatmaps)
    assert answers["held out"].logits.shape == (3,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-of-2.keras", "1-of-2.npz"]
