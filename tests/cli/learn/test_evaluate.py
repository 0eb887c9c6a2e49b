import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from cli.errors import UsageProblem
from cli.learn.evaluate import open_source, read_source
from cli.learn.reading import Reading
from pipeline.errors import damaged
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.training.labelled.contents import Blob, Contents
from pipeline.training.labelled.image import LabelledImage, RefusedImage
from tests.support.data.builders import make_dicom, make_picture, make_png
from tests.support.imaging.networks import phantom_inputs, write_dataset
from tests.support.servers.command import run


def figures(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == exit_code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_evaluate_folder(tmp_path: Path) -> None:
    found = figures(write_dataset(tmp_path, patients=4), "--split", "train")

    assert (found["n"], found["patients"], found["prevalence"]["value"]) == (16, 8, 0.5)
    assert 0 <= found["auroc"]["low"] <= found["auroc"]["value"] <= found["auroc"]["high"] <= 1
    assert sum(found["confusion_matrix"].values()) == 16
    assert found["model_version"] == load_card(BASELINE).model_version
    assert found["refused"] == {"count": 0, "files": []}
    assert found["left_out"] == {"count": 0, "labels": {}}


def test_evaluate_table_names_refused_files(tmp_path: Path) -> None:
    make_png(tmp_path / "good.png")
    make_png(tmp_path / "other.png", make_picture(120))
    make_dicom(tmp_path / "knee.dcm", BodyPartExamined="KNEE")
    (tmp_path / "t.csv").write_text(
        "file,label\ngood.png,1\nnone.png,1\nknee.dcm,normal\nother.png,0\ngood.png,other\n"
    )

    result = run("evaluate", tmp_path / "t.csv")
    found = figures(tmp_path / "t.csv", exit_code=1)

    assert result.exit_code == 1
    assert found["n"] == 2
    assert found["table"] == {"encoding": "UTF-8", "delimiter": ","}
    assert found["left_out"] == {"count": 1, "labels": {"other": 1}}
    by_file = {one["file"]: one["reason"] for one in found["refused"]["files"]}
    assert by_file.keys() == {"t.csv, row 3: none.png", "knee.dcm"}
    assert "KNEE" in by_file["knee.dcm"]
    assert all(f"{file}: {reason}" in result.stdout for file, reason in by_file.items())
    assert "other: 1" in result.stdout


def test_evaluate_by_subgroup_and_agreement(tmp_path: Path) -> None:
    """What the table states goes before a film's tags, and these before the option."""
    for name in ("a.png", "c.png", "d.png"):
        make_png(tmp_path / name, make_picture(100 + len(list(tmp_path.iterdir()))))
    make_dicom(tmp_path / "b.dcm", PatientAge="003Y", ViewPosition="PA", PatientSex="F")
    (tmp_path / "t.csv").write_text(
        "file,label,population,view,age\n"
        "a.png,1,adults,AP Supine,\nb.dcm,0,,AP,70\nc.png,0,,,4\nd.png,0,adult,,\n"
    )
    options = ("--population", "adults", "--prevalence", "0.1", "--compare-with", BASELINE)
    found = figures(tmp_path / "t.csv", *options, exit_code=1)
    groups = {(row["axis"], row["group"]): row["n"] for row in found["subgroups"]}
    assert groups == {
        ("population", "children"): 1, ("population", "adults"): 2,
        ("view", "AP"): 2, ("view", "not stated"): 1,
        ("population and view", "adults, AP"): 2, ("population and view", "not stated"): 1,
        ("sex", "F"): 1, ("sex", "not stated"): 2,
        ("age", "under 6"): 1, ("age", "65 and older"): 1, ("age", "not stated"): 1,
    }  # fmt: skip
    assert all(row["is_small"] for row in found["subgroups"])
    assert found["decision_curve"]["prevalence"] == 0.1
    assert found["agreement"]["kappa"]["value"] in (1.0, None)
    assert "expected a population" in found["refused"]["files"][0]["reason"]
    shown = run("evaluate", tmp_path / "t.csv", *options).stdout
    assert re.search(r"65 and older +1 +1 .*too few patients", shown)
    assert "same finding             1.0000" in shown


def test_evaluate_manifest(tmp_path: Path) -> None:
    make_png(tmp_path / "a.png")
    make_png(tmp_path / "b.png", make_picture(120))
    (tmp_path / "t.csv").write_text("file,label,view\na.png,1,PA\nb.png,oedema,\nc.png,0,\n")
    (tmp_path / "adults.toml").write_text(
        'images = "t.csv"\npopulation = "adults"\nas_normal = ["oedema"]\n'
        'rows.file = ["a.png", "b.png"]\n'
    )
    found = figures(tmp_path / "adults.toml")
    groups = {(row["axis"], row["group"]): row["n"] for row in found["subgroups"]}
    assert found["n"] == groups["population", "adults"] == 2
    assert groups["view", "PA"] == 1


def test_progress_counts_refused_files() -> None:
    images = [LabelledImage(name, Path(name), label, name) for label, name in enumerate("ab")]
    blobs = [Blob(image.file, (image,)) for image in images]
    reading = Reading(Contents(blobs, refused=[RefusedImage("c", "no file")]))
    pool, predictor, shown = Mock(), Mock(), Mock()
    pool.prepare_all.return_value = [damaged("cut short"), Mock(tags={})]
    predictor.predict_each.side_effect = lambda pairs, **_: ((one, Mock()) for one, _ in pairs)
    reading.collector = reading.errors = Mock()
    reading.read(pool, predictor, shown)
    shown.show.assert_called_once_with(2)


def test_heatmaps_are_compared_with_boxes(tmp_path: Path) -> None:
    for n, pixels in enumerate(phantom_inputs(count=4)):
        make_png(tmp_path / f"{n}.png", pixels)
    rows = [f"{n}.png,{n % 2},{n // 2}" for n in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["file,label,patient", *rows]))
    boxes, header = tmp_path / "boxes.csv", "file,x,y,w,h,image_w,image_h"
    boxes.write_text("\n".join([header, *(f"{n}.png,0,0,224,224,224,224" for n in (1, 2, 3))]))
    found = figures(tmp_path / "t.csv", "--boxes", boxes)["heatmap_scores"]
    assert (found["images"], found["patients"], found["boxes"]) == (3, 2, 3)
    assert found["pointing_game"]["value"] == 1, "the boxes are everywhere"
    shown = run("evaluate", tmp_path / "t.csv", "--boxes", boxes).stdout
    assert "Heatmaps against readers' boxes" in shown


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("other.png,0,0,9,9,224,224", "none of the images that were read"), ("", "found none")],
)
def test_boxes_of_no_evaluated_image_are_an_error(
    tmp_path: Path, line: str, complaint: str
) -> None:
    make_png(tmp_path / "a.png")
    make_png(tmp_path / "other.png", make_picture(120))
    (tmp_path / "t.csv").write_text("file,label\na.png,0\n")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(f"file,x,y,w,h,image_w,image_h\n{line}")
    failed = run("evaluate", tmp_path / "t.csv", "--boxes", boxes)
    assert failed.exit_code == 2
    assert complaint in failed.stderr


def test_copies_count_once_and_contradictions_are_left_out_by_content(tmp_path: Path) -> None:
    make_png(tmp_path / "a.png")
    make_png(tmp_path / "b.png", make_picture(120))
    shutil.copy(tmp_path / "a.png", tmp_path / "copy of a.png")
    shutil.copy(tmp_path / "b.png", tmp_path / "copy of b.png")
    (tmp_path / "t.csv").write_text(
        "file,label\na.png,0\n./a.png,0\ncopy of a.png,0\nb.png,0\ncopy of b.png,1\n"
    )
    found = figures(tmp_path / "t.csv")
    assert found["n"] == 1
    assert found["copies"] == {"count": 2, "files": [["a.png", "./a.png", "copy of a.png"]]}
    assert found["contradictory"] == {"count": 1, "files": [["b.png", "copy of b.png"]]}
    assert found["notes"] == [
        "2 copies of other images not counted: a.png = ./a.png = copy of a.png",
        "1 image with contradictory labels left out: b.png = copy of b.png",
    ]
    (tmp_path / "t.csv").write_text("file,label\nb.png,0\nb.png,1\n")
    result = run("evaluate", tmp_path / "t.csv")
    assert result.exit_code == 1
    assert "no image could be read; 1 image with contradictory labels left out" in result.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("NORMAL/a.txt", "no image could be read; NORMAL/a.txt: "),
        ("NORMAL/.a", "no labelled image"),
    ],
)
def test_no_readable_image_is_an_error(tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / "NORMAL").mkdir()
    (tmp_path / name).write_text("not an image")

    result = run("evaluate", tmp_path)

    assert result.exit_code in (1, 2)
    assert complaint in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("missing", {}, "missing: no such file or folder"),
        ("pipe.csv", {}, r"pipe\.csv: neither a file nor a folder"),
        ("", {"root": Path()}, "belong to a CSV"),
        ("set.toml", {"as_normal": ("oedema",)}, "belong to a CSV"),
        ("table.csv", {"split": "val"}, "belongs to a folder"),
    ],
)
def test_unsuitable_options_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], complaint: str
) -> None:
    (tmp_path / "table.csv").write_text("file,label\n")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "set.toml").write_text('images = "table.csv"\n')
    given: dict[str, Any] = {"root": None, "patient_column": None, "as_normal": (), **options}
    split = given.pop("split", None)
    card = load_card(BASELINE)
    with pytest.raises(UsageProblem, match=complaint):
        open_source(read_source(tmp_path / name, **given), card=card, split=split)


def test_invalid_version_is_one_line(tmp_path: Path) -> None:
    result = run("evaluate", tmp_path, "--version", tmp_path)

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "checksums.sha256 is missing" in result.stderr


def test_report_is_one_self_contained_page(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, patients=2) / "train"
    swapped = tmp_path / "in"
    swapped.mkdir()
    # The wrong way round, so that there are errors to show.
    (dataset / "NORMAL").rename(swapped / "PNEUMONIA")
    (dataset / "PNEUMONIA").rename(swapped / "NORMAL")
    (swapped / "NORMAL" / "<b>broken.png").write_bytes(b"broken")
    make_dicom(swapped / "NORMAL" / "a.dcm", PatientName="Secret^Name", PatientID="secret id")

    result = run("evaluate", swapped, "--report", tmp_path / "report")

    assert result.exit_code == 1, "one file is broken"
    (page,) = (tmp_path / "report").iterdir()
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "http://" not in text
    assert "https://" not in text
    assert text.count('role="img"') == 5 + 1, "curves, and the view that one film states"
    assert "Subgroups" in text
    assert text.count('src="data:image/jpeg;base64,') >= 4
    assert "&lt;b&gt;broken.png" in text
    assert "<b>broken.png" not in text
    assert "secret" not in text.lower(), "nothing of a DICOM's patient"

    refused = run("evaluate", swapped, "--report", page / "report")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "cannot be created: Not a directory" in refused.stderr


def test_one_class_alone_has_no_auroc(tmp_path: Path) -> None:
    (tmp_path / "NORMAL").mkdir()
    make_png(tmp_path / "NORMAL" / "a.png")

    found = figures(tmp_path, "--report", tmp_path / "report")

    assert found["auroc"] == {"value": None, "low": None, "high": None}
    assert found["specificity"]["value"] in (0, 1)
    assert "needs both classes" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.shared
def test_metrics_of_the_shipped_card_are_reproduced(shared_data: Path) -> None:
    """By the command that the card names."""
    card = load_card(BASELINE)
    if card.raw["format"] == 1:
        pytest.skip("a card of format 1 has other figures")
    found = figures(shared_data / "chest_xray", "--split", "validation")
    expected = card.raw["metrics"]["validation"]
    for name in ("auroc", "accuracy", "brier", "ece", "sensitivity", "specificity"):
        assert found[name] == pytest.approx(expected[name], abs=1e-3)
