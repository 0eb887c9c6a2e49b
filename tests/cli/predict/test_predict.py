"""`overread predict` on this machine."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipeline.inference.version_folder import BASELINE, load_card
from tests.support.data.builders import make_picture, make_png
from tests.support.servers.command import run


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predict_gives_equal_files_equal_results(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_png(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "c.txt").write_text("not an image")
    (folder / "d.txt").write_text("not an image")
    overlays = tmp_path / "overlays"

    result = run("predict", folder, "--jsonl", "--overlays", overlays)

    assert result.exit_code == 1, result.stderr
    a, b, c, d = lines(result)
    assert [row["file"] for row in (a, b, c, d)] == [
        "in/a.png",
        "in/b.png",
        "in/c.txt",
        "in/d.txt",
    ]
    assert a["status"] == "predicted"
    assert {**a, "file": ""} == {**b, "file": ""}
    assert 0 <= a["probability"] <= 1
    assert list(a)[-6:] == [
        "operating_point",
        "temperature",
        "heatmap_peak",
        "heatmap_concentration",
        "heatmap_inside_body",
        "reason_code",
    ]
    assert (a["operating_point"], c["operating_point"]) == ("balanced", None)
    assert a["temperature"] == load_card(BASELINE).temperature
    assert 0 <= a["heatmap_inside_body"] <= 1
    assert (c["status"], c["reason_code"], c["finding"]) == ("rejected", "not-an-image", None)
    assert c["reason"].startswith("c.txt: ")
    assert d["reason"] == c["reason"].replace("c.txt", "d.txt")
    (image,) = overlays.iterdir()
    assert image.read_bytes().startswith(b"\x89PNG")


def test_predict_reads_zip_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    image = make_png(tmp_path / "a.png", make_picture(top=200))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(image, "p1/a.png")
        archive.write(image, "../outside.png")

    result = run("predict", tmp_path / "in.zip", "--jsonl")

    assert [(row["file"], row["status"]) for row in lines(result)] == [
        ("in.zip/p1/a.png", "predicted"),
        ("in.zip/outside.png", "rejected"),
    ]
    assert list(scratch.iterdir()) == [], "unpacked copies were left behind"


def test_predict_exits_with_0_if_all_files_were_predicted(tmp_path: Path) -> None:
    result = run("predict", make_png(tmp_path / "a.png"))

    assert result.exit_code == 0, result.stderr
    assert "a.png" in result.stdout
    card = load_card(BASELINE)
    below = result.stdout[result.stdout.index("a.png") :]
    assert f"{card.model_version}: threshold {card.thresholds['balanced']:.3f}, balanced" in below
    assert f"calibrated with temperature {card.temperature:.3g}" in below


@pytest.mark.parametrize(
    ("option", "setting", "meant"),
    [
        ("sensitive", "balanced", "sensitive"),
        ("balanced", "sensitive", "balanced"),
        (None, "sensitive", "sensitive"),
    ],
)
def test_predict_uses_the_requested_operating_point(
    tmp_path: Path, option: str | None, setting: str, meant: str
) -> None:
    arguments = ["--operating-point", option] if option else []
    image = make_png(tmp_path / "a.png")

    result = run("predict", image, "--jsonl", *arguments, OVERREAD_OPERATING_POINT=setting)

    thresholds: dict[Any, float] = {**load_card(BASELINE).thresholds}
    if meant in thresholds:
        (line,) = lines(result)
        assert (line["operating_point"], line["threshold"]) == (meant, thresholds[meant])
    else:
        assert result.exit_code != 0
        assert f"has no operating point {meant}" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_predict_refuses_an_unknown_operating_point(tmp_path: Path) -> None:
    image = make_png(tmp_path / "a.png")
    assert run("predict", image, "--operating-point", "bold").exit_code == 2
    result = run("predict", image, OVERREAD_OPERATING_POINT="bold")
    assert result.exit_code == 2
    assert "OVERREAD_OPERATING_POINT: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_predict_reports_unreadable_files_as_failed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken.dcm").symlink_to("nowhere.dcm")
    make_png(tmp_path / "in/a.png")

    result = run("predict", tmp_path / "in", "--jsonl")

    assert result.exit_code == 1
    by_file = {row["file"]: row for row in lines(result)}
    assert by_file["in/broken.dcm"]["status"] == "failed"
    assert "cannot be read" in by_file["in/broken.dcm"]["reason"]
