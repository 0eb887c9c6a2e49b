"""Which images are meant, with which label, and what is wrong with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.errors import UsageProblem
from cli.learn.evaluate import open_source
from cli.learn.labelled_images import Labelled, LabelledSource, Refused
from pipeline.inference.version_folder import BASELINE, Card, load_card
from pipeline.training.splits import patient_of, split_of

SHARE = {"split_key": "a key", "validation_share": 0.4}


def card(**config: Any) -> Card:
    shipped = load_card(BASELINE)
    return replace(shipped, raw={**shipped.raw, "config": config})


def opened(path: Path, **options: Any) -> LabelledSource:
    usual = {"card": card(**SHARE), "split": None, "root": None, "patient_column": None}
    return open_source(path, **{**usual, "as_normal": (), **options})


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"content")
    return folder


def test_a_folder_tells_label_and_patient(tmp_path: Path) -> None:
    make(tmp_path, "normal/IM-0001-0001.jpeg", "PNEUMONIA/person7_virus_1.jpeg", "notes.txt")
    source = opened(tmp_path)

    assert list(source) == [
        Labelled("normal/IM-0001-0001.jpeg", tmp_path / "normal/IM-0001-0001.jpeg", 0, "IM-0001"),
        Labelled(
            "PNEUMONIA/person7_virus_1.jpeg",
            tmp_path / "PNEUMONIA/person7_virus_1.jpeg",
            1,
            "person7",
        ),
    ]
    assert (source.count(), source.notes) == (2, ())


def test_a_missing_class_is_noted(tmp_path: Path) -> None:
    (note,) = opened(make(tmp_path, "NORMAL/a.png")).notes

    assert "no folder PNEUMONIA" in note


def test_the_only_split_is_meant(tmp_path: Path) -> None:
    make(tmp_path, "val/NORMAL/a.png", "val/PNEUMONIA/b.png", "other/c.png")

    assert list(opened(tmp_path)) == list(opened(tmp_path, split="val"))
    assert opened(tmp_path).count() == 2


def test_train_may_have_been_learned(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "train/PNEUMONIA/b.png")

    assert "may have learned" in opened(tmp_path, split="train").notes[0]


def test_validation_means_the_patients_that_training_set_aside(tmp_path: Path) -> None:
    names = [f"person{n}_virus_1.jpeg" for n in range(40)]
    make(tmp_path, *(f"train/PNEUMONIA/{name}" for name in names), "train/NORMAL/IM-0001-0001.jpeg")
    rule: dict[str, Any] = {"key": "a key", "validation_share": 0.4}

    found = {
        image.patient
        for image in opened(tmp_path, split="validation")
        if isinstance(image, Labelled) and image.label
    }

    patients = [patient_of(name) for name in names]
    assert found == {name for name in patients if split_of(name, **rule) == "validation"}
    assert 0 < len(found) < 40


def test_a_folder_validation_comes_before_the_rule(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "validation/NORMAL/b.png")

    (image,) = opened(tmp_path, split="validation")
    assert image.file == "NORMAL/b.png"


def test_several_splits_have_to_be_chosen_from(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "val/NORMAL/a.png")

    with pytest.raises(UsageProblem, match="name one by --split: train, val"):
        opened(tmp_path)
    with pytest.raises(UsageProblem, match="no split test in it; found: train, val"):
        opened(tmp_path, split="test")
    with pytest.raises(UsageProblem, match="lacks 'split_key'"):
        opened(tmp_path, split="validation", card=card())


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("", {}, "expected folders NORMAL and PNEUMONIA"),
        ("missing", {}, "missing: no such file or folder"),
        ("", {"root": Path()}, "belong to a CSV"),
        ("table.csv", {"split": "val"}, "belongs to a folder"),
        ("table.csv", {}, "table.csv: there is no column label"),
        ("table.csv", {"patient_column": "who"}, "no column label, who"),
        ("empty.csv", {}, "expected a header"),
        ("binary.csv", {}, "no longer CSV in UTF-8 after line 1"),
    ],
)
def test_what_cannot_be_evaluated_is_named(
    tmp_path: Path, name: str, options: dict[str, Any], complaint: str
) -> None:
    (tmp_path / "table.csv").write_text("file,finding\na.png,normal\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(b"file,label\n\xff\xfe,normal\n")

    with pytest.raises(UsageProblem, match=complaint):
        opened(tmp_path / name, **options)


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


def test_a_table_tells_label_and_patient_or_what_is_wrong(table: Path, tmp_path: Path) -> None:
    source = opened(table)

    assert list(source) == [
        Labelled("person7_virus_1.png", tmp_path / "person7_virus_1.png", 1, "person7"),
        Labelled("b/c.png", tmp_path / "b/c.png", 0, "c.png"),
        Refused("t.csv, line 4: none.png", "no such file"),
        Refused("t.csv, line 5", "names no file"),
    ]
    assert source.left_out == {"covid19": 1, "": 1}
    assert source.count() == 4


def test_a_table_may_name_the_patients(table: Path) -> None:
    images = [image for image in opened(table, patient_column="who") if isinstance(image, Labelled)]

    assert [image.patient for image in images] == ["x", "c.png"]


def test_a_further_label_may_mean_normal(table: Path) -> None:
    source = opened(table, as_normal=("COVID19",))

    assert (source.count(), source.left_out) == (5, {"": 1})


def test_files_of_a_table_may_lie_elsewhere(table: Path, tmp_path: Path) -> None:
    moved = tmp_path / "else" / "moved.csv"
    moved.parent.mkdir()
    moved.write_bytes(table.read_bytes())

    images = [image for image in opened(moved, root=tmp_path) if isinstance(image, Labelled)]
    assert [image.path for image in images] == [
        tmp_path / "person7_virus_1.png",
        tmp_path / "b/c.png",
    ]
