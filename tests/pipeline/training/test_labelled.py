"""Labelled folders and CSVs: which images they hold, and which mistakes are reported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.training.labelled import (
    DatasetError,
    LabelledFolder,
    LabelledImage,
    LabelledTable,
    RefusedImage,
    open_dataset,
    open_split,
)
from pipeline.training.splits import patient_of, split_of
from pipeline.types import Split

CONFIG = {"split_key": "a key", "validation_share": 0.4}


def opened(
    path: Path, *, split: str | None = None, config: Mapping[str, Any] = CONFIG
) -> LabelledFolder:
    return open_split(path, split=split, config=config)


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"content")
    return folder


def test_folder_gives_label_and_patient(tmp_path: Path) -> None:
    make(tmp_path, "normal/IM-0001-0001.jpeg", "PNEUMONIA/person7_virus_1.jpeg", "notes.txt")
    source = opened(tmp_path)
    assert list(source) == [
        LabelledImage(
            "normal/IM-0001-0001.jpeg", tmp_path / "normal/IM-0001-0001.jpeg", 0, "IM-0001"
        ),
        LabelledImage(
            "PNEUMONIA/person7_virus_1.jpeg",
            tmp_path / "PNEUMONIA/person7_virus_1.jpeg",
            1,
            "person7",
        ),
    ]
    assert source.notes == []


def test_only_split_is_opened_by_default(tmp_path: Path) -> None:
    make(tmp_path, "val/NORMAL/a.png", "val/PNEUMONIA/b.png", "other/c.png")
    assert list(opened(tmp_path)) == list(opened(tmp_path, split="val"))
    assert len(list(opened(tmp_path))) == 2


def test_missing_class_and_folder_train_get_notes(tmp_path: Path) -> None:
    missing, training = opened(make(tmp_path, "train/NORMAL/a.png")).notes
    assert "no folder PNEUMONIA" in missing
    assert "may have been trained" in training


def test_validation_means_the_validation_patients_of_train(tmp_path: Path) -> None:
    names = [f"person{n}_virus_1.jpeg" for n in range(40)]
    make(tmp_path, *(f"train/PNEUMONIA/{name}" for name in names), "train/NORMAL/IM-0001-0001.jpeg")
    rule: dict[str, Any] = {"key": "a key", "validation_share": 0.4}
    found = {
        image.patient
        for image in opened(tmp_path, split="validation")
        if isinstance(image, LabelledImage) and image.label
    }
    patients = [patient_of(name) for name in names]
    assert found == {name for name in patients if split_of(name, **rule) == "validation"}
    assert 0 < len(found) < 40


def test_folder_validation_takes_precedence(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "validation/NORMAL/b.png")
    (image,) = opened(tmp_path, split="validation")
    assert image.file == "NORMAL/b.png"


def test_one_of_several_splits_must_be_named(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "val/NORMAL/a.png")
    with pytest.raises(DatasetError, match="name one by --split: train, val"):
        opened(tmp_path)
    with pytest.raises(DatasetError, match="no split test in it; found: train, val"):
        opened(tmp_path, split="test")
    with pytest.raises(DatasetError, match="lacks 'split_key'"):
        opened(tmp_path, split="validation", config={})


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "expected folders NORMAL and PNEUMONIA"),
        ("missing", "missing: no such folder"),
    ],
)
def test_folder_without_classes_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    for open_ in (opened, open_dataset):
        with pytest.raises(DatasetError, match=complaint):
            open_(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "patient_column", "complaint"),
    [
        (b"file,finding\na.png,normal\n", None, r"table\.csv: there is no column label"),
        (b"file,finding\na.png,normal\n", "who", "no column label, who"),
        (b"", None, "expected a header"),
        (b"file,label\n\xff\xfe,normal\n", None, "not CSV in UTF-8 after line 1"),
    ],
)
def test_unusable_table_is_refused(
    tmp_path: Path, content: bytes, patient_column: str | None, complaint: str
) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=complaint):
        LabelledTable(tmp_path / "table.csv", patient_column=patient_column)


def test_dataset_gives_splits_of_its_folders(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "Valid/PNEUMONIA/b/c.png", "other/NORMAL/d.png")
    make(tmp_path, "train/NORMAL/.hidden", "train/NORMAL/Thumbs.db")
    (tmp_path / "train/NORMAL/link.png").symlink_to(tmp_path / "other/NORMAL/d.png")
    dataset = open_dataset(tmp_path)
    assert {image.file: image.split for image in dataset} == {
        "train/NORMAL/a.png": Split.TRAIN,
        "train/NORMAL/link.png": Split.TRAIN,
        "Valid/PNEUMONIA/b/c.png": Split.VALIDATION,
    }
    assert dataset.splits == {Split.TRAIN, Split.VALIDATION}
    assert dataset.unknown == ("other",)
    assert "may have been trained" not in str([part.notes for part in dataset.parts])


def test_dataset_with_images_beside_its_splits_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "NORMAL/a.png", "train/NORMAL/b.png")
    with pytest.raises(DatasetError, match="holds both train and images"):
        open_dataset(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    make(tmp_path, "person7_virus_1.png", "b/c.png")
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufefffile,label,who\n"  # the signature that spreadsheets write
        "person7_virus_1.png,Pneumonia,x\n"
        "b/c.png, 0,\n"
        "none.png,1,y\n"
        ",normal,y\n"
        "b/c.png,covid19,z\n"
        "b/c.png,,z\n",
        encoding="utf-8",
    )
    return path


def test_table_gives_label_and_patient_or_the_reason_of_a_refusal(
    table: Path, tmp_path: Path
) -> None:
    source = LabelledTable(table)
    assert list(source) == [
        LabelledImage("person7_virus_1.png", tmp_path / "person7_virus_1.png", 1, "person7"),
        LabelledImage("b/c.png", tmp_path / "b/c.png", 0, "c.png"),
        RefusedImage("t.csv, line 4: none.png", "no such file"),
        RefusedImage("t.csv, line 5", "no file name"),
    ]
    assert source.left_out == {"covid19": 1, "": 1}


def test_table_with_options(table: Path, tmp_path: Path) -> None:
    moved = tmp_path / "else" / "moved.csv"
    moved.parent.mkdir()
    moved.write_bytes(table.read_bytes())
    source = LabelledTable(moved, root=tmp_path, patient_column="who", as_normal=("COVID19",))
    found = [one for one in source if isinstance(one, LabelledImage)]
    assert [(image.file, image.label, image.patient) for image in found] == [
        ("person7_virus_1.png", 1, "x"),
        ("b/c.png", 0, "c.png"),
        ("b/c.png", 0, "z"),
    ]
    assert found[1].path == tmp_path / "b/c.png"
    assert source.left_out == {"": 1}
