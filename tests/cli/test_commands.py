"""The commands' front context: quick help, exit codes, one clear line."""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cli.main import COMMANDS
from pipeline.inference.version_folder import BASELINE, load_card
from tests.support.data.builders import make_picture, make_png
from tests.support.servers.command import run


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(printed.split("LOADED")[1].split())
    assert "submit" in printed
    heavy = "numpy openvino sqlalchemy celery flask tensorflow httpx rich pydantic redis"
    assert not loaded & set(heavy.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    assert run(command, "--help").exit_code == 0


@pytest.mark.parametrize("command", ["predict", "submit"])
def test_a_path_that_is_not_there_is_one_line(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "missing", OVERREAD_DATA=str(tmp_path))

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    # Without a service `submit` has nowhere to look it up for.
    assert "missing: no such file" in result.stderr or "overread up" in result.stderr


@pytest.mark.parametrize("arguments", [["predict"], ["results", "--format", "xml"], ["nonsense"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    result = run("jobs", OVERREAD_DATA=str(tmp_path), OVERREAD_PORT="many")

    assert result.exit_code == 2
    assert "OVERREAD_PORT" in result.stderr


def test_a_remote_service_needs_a_token(tmp_path: Path) -> None:
    result = run("jobs", OVERREAD_DATA=str(tmp_path), OVERREAD_URL="http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "OVERREAD_TOKEN" in result.stderr


def test_predict_answers_each_file_and_equal_bytes_alike(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_png(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "c.txt").write_text("no picture")
    (folder / "d.txt").write_text("no picture")
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
    (picture,) = overlays.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_predict_looks_into_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    picture = make_png(tmp_path / "a.png", make_picture(top=200))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(picture, "p1/a.png")
        archive.write(picture, "../outside.png")

    result = run("predict", tmp_path / "in.zip", "--jsonl")

    assert [(row["file"], row["status"]) for row in lines(result)] == [
        ("in.zip/p1/a.png", "predicted"),
        ("in.zip/outside.png", "rejected"),
    ]
    assert list(scratch.iterdir()) == [], "copies stay behind"


def test_predict_exits_with_0_where_all_was_predicted(tmp_path: Path) -> None:
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
def test_predict_reads_at_the_point_that_is_asked_for(
    tmp_path: Path, option: str | None, setting: str, meant: str
) -> None:
    """Or says in one line that the shipped network has none of that name."""
    arguments = ["--operating-point", option] if option else []
    picture = make_png(tmp_path / "a.png")

    result = run("predict", picture, "--jsonl", *arguments, OVERREAD_OPERATING_POINT=setting)

    thresholds: dict[Any, float] = {**load_card(BASELINE).thresholds}
    if meant in thresholds:
        (line,) = lines(result)
        assert (line["operating_point"], line["threshold"]) == (meant, thresholds[meant])
    else:
        assert result.exit_code != 0
        assert f"has no operating point {meant}" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_an_unknown_operating_point_is_wrong_usage(tmp_path: Path) -> None:
    picture = make_png(tmp_path / "a.png")
    assert run("predict", picture, "--operating-point", "bold").exit_code == 2
    result = run("predict", picture, OVERREAD_OPERATING_POINT="bold")
    assert result.exit_code == 2
    assert "OVERREAD_OPERATING_POINT: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unreadable_file_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken.dcm").symlink_to("nowhere.dcm")
    make_png(tmp_path / "in/a.png")

    result = run("predict", tmp_path / "in", "--jsonl")

    assert result.exit_code == 1
    by_file = {row["file"]: row for row in lines(result)}
    assert by_file["in/broken.dcm"]["status"] == "failed"
    assert "cannot be read" in by_file["in/broken.dcm"]["reason"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"epochs": 1.5}', "epochs: expected a whole number"),
        ('{"epoch": 1}', "epoch: a training has no such setting"),
        ("{", "cannot be understood"),
    ],
)
def test_a_wrong_training_config_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)

    result = run("train", tmp_path, "--output", tmp_path / "out", "--config", config)

    assert result.exit_code == 2
    assert complaint in result.stderr
