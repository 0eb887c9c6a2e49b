"""Which split the images of a labelled folder get, and who says so."""

from pathlib import Path

import pytest

from cli.errors import UsageProblem
from cli.learn.dataset_layout import NO_TEST, NO_VALIDATION, ONLY_TRAIN, open_dataset
from pipeline.training.splits import imported_split


def splits(folder: Path) -> dict[str, str]:
    return {file.file: file.split(None) for file in open_dataset(folder)}


@pytest.mark.parametrize(
    ("folders", "note", "has_own", "test_from_train"),
    [
        (("train", "val"), NO_TEST, True, True),
        (("train", "test"), NO_VALIDATION, True, False),
        (("train",), ONLY_TRAIN, False, True),
        (("TRAIN", "valid", "Test"), None, True, False),
    ],
)
def test_what_a_set_lacks_is_set_aside_from_train(
    tmp_path: Path, folders: tuple[str, ...], note: str | None, has_own: bool, test_from_train: bool
) -> None:
    names = [f"person{n}_virus_1.png" for n in range(120)]
    for name in folders:
        (tmp_path / name / "NORMAL").mkdir(parents=True)
    for name in names:
        (tmp_path / folders[0] / "NORMAL" / name).write_bytes(b"")
    found = open_dataset(tmp_path)
    assert (note in found.notes, found.has_own_splits) == (note is not None, has_own)
    of_rule = {name: imported_split(name.partition("_")[0]) for name in names}
    got = {file.path.name: file.split(None) for file in found}
    assert ("test" in got.values()) == test_from_train
    if note is None:
        assert set(got.values()) == {"train"}
    else:
        assert {n for n in names if got[n] == "train"} == {
            n for n in names if of_rule[n] == "train"
        }


def test_the_patients_of_a_folder_without_splits_are_split_by_the_public_rule(
    tmp_path: Path,
) -> None:
    (tmp_path / "PNEUMONIA").mkdir()
    for n in range(60):
        (tmp_path / "PNEUMONIA" / f"person{n}_virus_1.png").write_bytes(b"")
    assert splits(tmp_path) == {
        f"PNEUMONIA/person{n}_virus_1.png": imported_split(f"person{n}") for n in range(60)
    }


def test_a_folder_beside_images_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "NORMAL").mkdir()
    (tmp_path / "train" / "NORMAL").mkdir(parents=True)
    with pytest.raises(UsageProblem, match="holds both train and images"):
        open_dataset(tmp_path)
