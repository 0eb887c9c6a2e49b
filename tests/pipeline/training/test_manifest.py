"""Manifests of labelled sets."""

from pathlib import Path

import pytest

from pipeline.subject import Subject
from pipeline.training.labelled.dataset import open_dataset
from pipeline.training.labelled.image import DatasetError, LabelledImage
from pipeline.training.labelled.manifest import read_manifest

TABLE = """file,label,age,view,origin,source
a.png,normal,54,PA,,nih
b.png,oedema,7,,Elsewhere,nih
c.png,pneumonia,,AP,,other
"""


def write(folder: Path, text: str, *, table: str = TABLE) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name in "abc":
        (folder / "images" / f"{name}.png").write_bytes(name.encode())
    (folder / "table.csv").write_text(table)
    (folder / "adults.toml").write_text(text)
    return folder / "adults.toml"


def images(place: Path) -> list[LabelledImage]:
    return [image for image in open_dataset(place) if isinstance(image, LabelledImage)]


def test_manifest_states_what_rows_do_not(tmp_path: Path) -> None:
    place = write(
        tmp_path,
        'images = "table.csv"\nroot = "images"\npopulation = "adults"\nview = "AP"\n'
        'as_normal = ["oedema"]\n',
    )
    first, second, third = images(place)
    assert [image.label for image in (first, second, third)] == [0, 0, 1]
    assert first.subject == Subject("adults", "PA", age_years=54.0)
    assert second.subject == Subject("children", "AP", age_years=7.0)
    assert third.subject == Subject("adults", "AP")
    assert [image.origin for image in (first, second, third)] == ["adults", "Elsewhere", "adults"]
    assert first.path == tmp_path / "images" / "a.png"


def test_manifest_chooses_rows(tmp_path: Path) -> None:
    manifest = 'images = "table.csv"\nroot = "images"\norigin = "NIH"\n[rows]\n'
    (only,) = images(write(tmp_path, manifest + 'source = ["nih"]\n'))
    assert (only.file, only.origin) == ("a.png", "NIH")
    place = write(tmp_path, manifest + 'Source = ["other", "nih"]\nVIEW = ["AP"]\n')
    assert [image.file for image in images(place)] == ["c.png"]
    with pytest.raises(DatasetError, match="there is no column use"):
        open_dataset(write(tmp_path, manifest + 'use = ["train"]\n'))


def test_manifest_of_a_folder(tmp_path: Path) -> None:
    for name in ("train/NORMAL/a.png", "test/PNEUMONIA/b.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"content")
    place = write(tmp_path, 'images = "set"\npopulation = "children"\n')
    assert {image.subject for image in images(place)} == {Subject("children")}
    assert {image.origin for image in images(place)} == {"adults"}
    assert {image.origin for image in images(tmp_path / "set")} == {"set"}
    assert {image.origin for image in images(tmp_path / "table.csv")} <= {"table", "Elsewhere"}
    with pytest.raises(DatasetError, match="root, patient_column, as_normal and rows belong to"):
        open_dataset(write(tmp_path, 'images = "set"\nroot = "."\n'))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("images", "not valid TOML"),
        ("", "images: Field required"),
        ("images = 3", "images: Input is not a valid path"),
        ('images = "a"\npopulation = "cats"', "population: Input should be 'children' or 'adults'"),
        ('images = "a"\nviews = "AP"', "views: Unexpected keyword argument"),
        ('images = "a"\nrows.use = "train"', "rows.use: Input should be a valid tuple"),
    ],
)
def test_wrong_manifest_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_manifest(write(tmp_path, text))
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "adults.toml"))
    assert "\n" not in str(caught.value)
