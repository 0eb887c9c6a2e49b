"""Labelled folders and CSVs: which images they hold, and which mistakes are reported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.training.data.splits import patient_of, split_of
from pipeline.training.labelled.contents import read_contents
from pipeline.training.labelled.dataset import open_dataset, open_split
from pipeline.training.labelled.folder import LabelledFolder, children
from pipeline.training.labelled.image import DatasetError, LabelledImage, RefusedImage
from pipeline.training.labelled.table import LabelledTable, describe_other_labels
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
    assert source.notes == ["1 entry beside the class folders left out: notes.txt"]


def test_folders_that_differ_in_case_are_read_as_one(tmp_path: Path) -> None:
    make(tmp_path, "NORMAL/a.png", "Normal/b.PNG", "normal/c.png", "PNEUMONIA/d.png")
    source = opened(tmp_path)
    assert [(image.file, image.label) for image in source] == [
        ("NORMAL/a.png", 0),
        ("Normal/b.PNG", 0),
        ("normal/c.png", 0),
        ("PNEUMONIA/d.png", 1),
    ]
    assert source.notes == ["The folders NORMAL and Normal and normal were read as one."]


def test_links_are_followed_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    make(tmp_path / "else", "a.png", "pool/b.png", "virus/c.png")
    data = make(tmp_path / "set", "NORMAL/d.png", "NORMAL/.hidden", "NORMAL/deep/Thumbs.db", ".e")
    (data / "NORMAL/a.png").symlink_to(tmp_path / "else/a.png")
    (data / "NORMAL/pool").symlink_to(tmp_path / "else/pool")
    (data / "NORMAL/loop").symlink_to(data / "NORMAL")
    (data / "PNEUMONIA").symlink_to(tmp_path / "else/virus")
    for source in (opened(data), open_dataset(data)):
        assert [image.file for image in source if isinstance(image, LabelledImage)] == [
            "NORMAL/a.png",
            "NORMAL/d.png",
            "NORMAL/pool/b.png",
            "PNEUMONIA/c.png",
        ]
        assert str(source.notes if isinstance(source, LabelledFolder) else source.notes()).endswith(
            "left out: 3 hidden or junk files (.e, NORMAL/.hidden, NORMAL/deep/Thumbs.db), "
            "1 link to a folder that is read where it is (NORMAL/loop)']"
        )


def test_other_classes_beside_a_single_one_are_an_error(tmp_path: Path) -> None:
    make(tmp_path, "NORMAL/a.png", "BACTERIA/b.png", "VIRUS/c.png")
    for open_ in (opened, open_dataset):
        with pytest.raises(DatasetError, match=r"found BACTERIA, NORMAL, VIRUS, no PNEUMONIA$"):
            open_(tmp_path)
    make(tmp_path, "PNEUMONIA/d.png")
    (note,) = opened(tmp_path).notes
    assert note == "2 entries beside the class folders left out: BACTERIA, VIRUS"


def test_split_without_class_folders_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/a.png", "train/PNEUMONIA/b.png", "test/healthy/c.png")
    with pytest.raises(DatasetError, match=r"test: expected folders NORMAL and .*; found healthy$"):
        open_dataset(tmp_path)


def test_folder_that_may_not_be_read_is_named_beside_the_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "train/NORMAL/a.png", "train/PNEUMONIA/b.png", "lost+found/c")

    def readable_children(path: Path, *, hidden: bool = False) -> list[Path]:
        if path.name == "lost+found":
            raise PermissionError
        return children(path, hidden=hidden)

    monkeypatch.setattr("pipeline.training.labelled.folder.children", readable_children)
    dataset = open_dataset(tmp_path)
    assert len(list(dataset)) == 2
    assert dataset.notes() == ["The folder lost+found was ignored: it names no split."]


def test_other_labels_are_named_with_a_bound() -> None:
    (note,) = describe_other_labels({f"text {n}": 2 for n in range(300)})
    assert note.startswith("600 rows left out (label neither normal nor pneumonia): text 0: 2, ")
    assert note.endswith("text 9: 2, ...")


def test_files_with_equal_content_count_once_or_contradict(tmp_path: Path) -> None:
    for name, content in {
        "train/NORMAL/a.png": "1",
        "test/NORMAL/b.png": "1",
        "train/NORMAL/c.png": "2",
        "test/PNEUMONIA/d.png": "2",
        "train/PNEUMONIA/e.png": "3",
    }.items():
        make(tmp_path, name)
        (tmp_path / name).write_text(content)
    (tmp_path / "train/NORMAL/gone.png").symlink_to("nowhere")
    refused: list[RefusedImage] = []
    found = read_contents(open_dataset(tmp_path), refused=refused.append)
    assert [blob.counted.file for blob in found.blobs] == [
        "test/NORMAL/b.png",
        "train/PNEUMONIA/e.png",
    ]
    assert found.notes() == [
        "1 copy of other images not counted: test/NORMAL/b.png = train/NORMAL/a.png",
        "1 image with contradictory labels left out: test/PNEUMONIA/d.png = train/NORMAL/c.png",
    ]
    assert found.as_json()["copies"]["count"] == found.as_json()["contradictory"]["count"] == 1
    reason = "cannot be read: No such file or directory"
    assert found.refused == refused == [RefusedImage("train/NORMAL/gone.png", reason)]


def test_only_split_is_opened_by_default(tmp_path: Path) -> None:
    make(tmp_path, "val/NORMAL/a.png", "val/PNEUMONIA/b.png", "other/c.png")
    make(tmp_path, "README", ".git/config")
    assert list(opened(tmp_path)) == list(opened(tmp_path, split="VAL"))
    assert len(list(opened(tmp_path))) == 2
    assert opened(tmp_path).notes == [
        "The folder other was ignored: it names no split.",
        "2 files beside the splits left out: README, .git",
    ]


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
        ("missing", "missing: no such file or folder"),
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
        (b"file,label\na.png,normal\n", "who", "no column who"),
        (b"", None, "expected a header"),
        (b"file,label\n\x81,normal\n", None, r"table\.csv: not a CSV file"),
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
    images = [one for one in dataset if isinstance(one, LabelledImage)]
    assert {image.file: image.split for image in images} == {
        "train/NORMAL/a.png": Split.TRAIN,
        "train/NORMAL/link.png": Split.TRAIN,
        "Valid/PNEUMONIA/b/c.png": Split.VALIDATION,
    }
    assert dataset.splits == {Split.TRAIN, Split.VALIDATION}
    assert dataset.ignored == ("The folder other was ignored: it names no split.",)
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
        RefusedImage("t.csv, row 4: none.png", "no such file"),
        RefusedImage("t.csv, row 5", "no file name"),
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


def test_column_split_matters_to_those_alone_who_need_it(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    table = tmp_path / "t.csv"
    table.write_text("file,label,split\na.png,0,fold1\n")
    (image,) = LabelledTable(table)
    assert isinstance(image, LabelledImage)
    assert image.split is None
    (refused,) = open_dataset(table)
    assert refused == RefusedImage("t.csv, row 2: a.png", "expected a split: train, val or test")


def test_table_with_spreadsheet_habits(tmp_path: Path) -> None:
    make(tmp_path, "a/b.png", "=c.png")
    (tmp_path / "M\udcfc.png").write_bytes(b"content")  # a name in Latin-1
    (tmp_path / "t.csv").write_bytes(
        "sep=;\nFile Name;LABEL;patient_id;Split\na\\b.png;0.0;'007;train\n"
        "'=c.png;1,0;7;TEST\nMü.png;1;1,2E+11;val\nMü.png;1;8;Val\na/b.png;0;9;dev\n".encode(
            "cp1252"
        )
    )
    dataset = open_dataset(tmp_path / "t.csv")
    images = [one for one in dataset if isinstance(one, LabelledImage)]
    assert [(one.path.name, one.label, one.patient, one.split) for one in images] == [
        ("b.png", 0, "007", Split.TRAIN),
        ("=c.png", 1, "7", Split.TEST),
        ("M\udcfc.png", 1, "8", Split.VALIDATION),
    ]
    assert all(one.is_patient_stated for one in images)
    refused = [one for one in dataset if isinstance(one, RefusedImage)]
    assert [one.file for one in refused] == ["t.csv, row 4: Mü.png", "t.csv, row 6: a/b.png"]
    assert "format its column as text" in refused[0].reason
    assert dataset.splits == set(Split)
    assert "read as Windows-1252" in dataset.notes()[0]
