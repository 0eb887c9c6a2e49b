"""`overread predict` on this machine."""

import json
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli.predict.reader import holds_archive
from cli.walk import Walk
from pipeline.errors import RefusalCode, RefusedError
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.prepare.decoder import DecoderSettings
from pipeline.prepare.pool import DecoderPool
from pipeline.prevalence import probability_at
from pipeline.types import OperatingPoint
from tests.support.data.builders import make_picture, make_png
from tests.support.servers.command import run


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predict_prints_one_line_for_each_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_png(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "c.txt").write_text("not an image")
    (folder / "d.txt").write_text("not an image")
    (folder / "e.dcm").symlink_to("nowhere.dcm")
    overlays = tmp_path / "overlays"

    result = run("predict", folder, "--jsonl", "--overlays", overlays)

    assert result.exit_code == 1, result.stderr
    a, b, c, d, e = lines(result)
    names = ["in/a.png", "in/b.png", "in/c.txt", "in/d.txt", "in/e.dcm"]
    assert [row["file"] for row in (a, b, c, d, e)] == names
    assert a["status"] == "predicted"
    assert {**a, "file": ""} == {**b, "file": ""}
    assert 0 <= a["probability"] <= 1
    assert list(a)[-12:] == [
        "operating_point",
        "temperature",
        "heatmap_peak",
        "heatmap_concentration",
        "heatmap_inside_body",
        "reason_code",
        "range_rule",
        "pixel_aspect",
        "orientation",
        "population",
        "prevalence",
        "adjusted_probability",
    ]
    assert (a["prevalence"], a["adjusted_probability"]) == (None, None), "none is stated"
    assert a["population"] is None, "the shipped version reads all alike"
    assert (a["range_rule"], a["pixel_aspect"], a["orientation"]) == ("bits stored", 1, 0)
    assert (a["operating_point"], c["operating_point"]) == ("balanced", None)
    card = load_card(BASELINE)
    assert (a["temperature"], a["threshold"]) == (card.temperature, card.thresholds["balanced"])
    assert 0 <= a["heatmap_inside_body"] <= 1
    assert (c["status"], c["reason_code"], c["finding"]) == ("rejected", "not-an-image", None)
    assert c["reason"].startswith("c.txt: ")
    assert d["reason"] == c["reason"].replace("c.txt", "d.txt")
    assert (e["status"], e["sha256"]) == ("failed", "")
    assert "cannot be read" in e["reason"]
    (image,) = overlays.iterdir()
    assert image.read_bytes().startswith(b"\x89PNG")


def test_overlay_that_cannot_be_drawn_changes_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = RefusedError(RefusalCode.DECODER_TIMEOUT, "decoding timed out")
    monkeypatch.setattr(DecoderPool, "display", lambda *_, **__: refused)
    result = run("predict", make_png(tmp_path / "a.png"), "--overlays", tmp_path / "overlays")
    assert (result.exit_code, result.stderr) == (1, "a.png: no overlay: decoding timed out\n")


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


def test_predict_adds_the_probability_at_the_stated_prevalence(tmp_path: Path) -> None:
    image = make_png(tmp_path / "a.png")
    (row,) = lines(run("predict", image, "--jsonl", OVERREAD_PREVALENCE="0.1"))
    assert row["prevalence"] == 0.1
    expected = probability_at(row["probability"], prevalence=0.1)
    assert row["adjusted_probability"] == expected < row["probability"]


@pytest.mark.parametrize(
    ("options", "meant"), [([], "sensitive"), (["--operating-point", "balanced"], "balanced")]
)
def test_predict_uses_the_requested_operating_point(
    tmp_path: Path, options: list[str], meant: OperatingPoint
) -> None:
    image = make_png(tmp_path / "a.png")

    result = run("predict", image, *options, OVERREAD_OPERATING_POINT="sensitive")

    assert result.exit_code == 0, result.stderr
    card = load_card(BASELINE)
    below = result.stdout[result.stdout.index("a.png") :]
    assert f"{card.model_version}: threshold {card.thresholds[meant]:.3f}, {meant}" in below
    assert f"calibrated with temperature {card.temperature:.3g}" in below


def test_no_more_decoders_start_than_there_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, started, start = make_png(tmp_path / "a.png"), list[str](), subprocess.Popen
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(image, "a.png")

    def noting(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        started.extend(word for word in command if word == DecoderSettings.program)
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    for files, decoders in (([image], 1), ([image, image], 2), ([tmp_path / "in.zip"], 2)):
        started.clear()
        result = run("predict", *files, OVERREAD_DECODE_PROCESSES="2")
        assert (result.exit_code, len(started)) == (0, decoders), result.stderr


def test_zip_counts_as_many_files(tmp_path: Path) -> None:
    make_png(tmp_path / "a.png")
    assert not holds_archive(Walk([tmp_path, tmp_path / "a.png"]))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.png", b"1")
    (tmp_path / "c").symlink_to("nowhere")
    assert holds_archive(Walk([tmp_path]))
