"""Splits of imported images."""

from pathlib import Path

import pytest

from pipeline.training.data.splits import imported_split
from pipeline.training.labelled.image import LabelledImage
from pipeline.types import Split
from worker.datasets.placement import decide_split

TRAIN, VALIDATION, TEST = Split
PATIENTS = [f"person{n}" for n in range(120)]


def split_of(patient: str, split: Split | None, *stated: Split) -> Split:
    name = f"{patient}_virus_1.png"
    image = LabelledImage(name, Path(name), 1, patient, split)
    return decide_split(image, stated=frozenset(stated), patient_hash=None)


@pytest.mark.parametrize("split", [VALIDATION, TEST])
def test_stated_validation_and_test_are_kept(split: Split) -> None:
    assert {split_of(patient, split, TRAIN, split) for patient in PATIENTS} == {split}


def test_train_is_kept_where_both_others_are_stated() -> None:
    assert {split_of(patient, TRAIN, *Split) for patient in PATIENTS} == {TRAIN}


@pytest.mark.parametrize(
    ("split", "stated"), [(None, ()), (TRAIN, (TRAIN,)), (TRAIN, (TRAIN, VALIDATION))]
)
def test_missing_test_split_is_taken_by_the_public_rule(
    split: Split | None, stated: tuple[Split, ...]
) -> None:
    found = {patient: split_of(patient, split, *stated) for patient in PATIENTS}
    assert found == {patient: imported_split(patient) for patient in PATIENTS}
    assert set(found.values()) == set(Split)


def test_missing_validation_split_is_taken_from_train() -> None:
    for patient in PATIENTS:
        is_train = imported_split(patient) is TRAIN
        assert split_of(patient, TRAIN, TRAIN, TEST) is (TRAIN if is_train else VALIDATION)
