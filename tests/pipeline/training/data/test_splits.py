"""Splits of patients: no patient in two, now or later."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.training.data.splits import (
    TEST_SHARE,
    VALIDATION_SHARE,
    assign_split,
    imported_split,
    known_patient_of,
    patient_fold,
    patient_of,
    split_of,
)
from pipeline.types import Split
from tests.support.data.rows import a_hash


def test_patient_of_names_of_the_public_set() -> None:
    assert patient_of("person123_bacteria_45.jpeg") == "person123"
    assert patient_of("person123_virus_9.jpeg") == "person123"
    assert patient_of("IM-0133-0001-0002.jpeg") == "IM-0133"
    assert patient_of("IM-0133-0001.jpeg") == "IM-0133"
    assert patient_of("NORMAL2-IM-1427-0001.jpeg") == "NORMAL2-IM-1427"


def test_patient_of_an_unknown_name() -> None:
    assert patient_of("frontal.png") == "frontal.png"
    assert patient_of("person.jpeg") != patient_of("person2.jpeg")
    assert known_patient_of("frontal.png") is None
    assert known_patient_of("person12_virus_3.jpeg") == "person12"


@given(patient=st.text(max_size=30), low=st.floats(0, 1), high=st.floats(0, 1))
def test_larger_validation_share_only_adds_patients(patient: str, low: float, high: float) -> None:
    small, large = sorted((low, high))
    if split_of(patient, key="key", validation_share=small) == "validation":
        assert split_of(patient, key="key", validation_share=large) == "validation"


def test_split_of_never_changes() -> None:
    """These were written down once; another answer would leak patients between versions."""
    patients = ["person1", "person7", "IM-0133", "NORMAL2-IM-1427", "frontal.png"]
    splits = [split_of(p, key="overread-1", validation_share=0.5)[0] for p in patients]
    assert "".join(splits) == "tvvvt"


def test_assign_split_gives_the_stated_shares() -> None:
    splits = [assign_split(a_hash(f"patient {n}")) for n in range(8000)]
    assert abs(splits.count(Split.TEST) / 8000 - TEST_SHARE) < 0.015
    assert abs(splits.count(Split.VALIDATION) / 8000 - VALIDATION_SHARE) < 0.015


def test_assign_split_never_changes() -> None:
    """Written down once, like the one above."""
    splits = [assign_split(a_hash(f"patient {n}"))[:2] for n in range(12)]
    assert " ".join(splits) == "tr tr tr te tr tr tr tr tr tr tr tr"


@given(patient=st.text(max_size=30))
def test_shipped_network_was_not_trained_on_imported_test_patients(patient: str) -> None:
    """By the rule on its card, which must therefore be the rule here."""
    rule = load_card(BASELINE).raw["config"]
    learned = split_of(patient, key=rule["split_key"], validation_share=rule["validation_share"])
    assert (imported_split(patient) == "train") == (learned == "train")


def test_imported_split_halves_validation_patients_and_never_changes() -> None:
    splits = [imported_split(f"person{n}") for n in range(8000)]
    assert 0.06 < splits.count(Split.TEST) / 8000 < 0.09
    assert 0.06 < splits.count(Split.VALIDATION) / 8000 < 0.09
    aside = [split[0] for split in splits if split != "train"]
    assert "".join(aside[:12]) == "vttvvvvtttvv"


def test_patient_folds_are_of_equal_size_and_never_change() -> None:
    folds = [patient_fold(f"person{n}", folds=5) for n in range(5000)]
    assert min(map(folds.count, range(5))) > 900
    assert set(folds) == set(range(5))
    assert "".join(map(str, folds[:12])) == "230423234211"
