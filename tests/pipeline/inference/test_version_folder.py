import json
from pathlib import Path
from shutil import copytree

import pytest

from pipeline.errors import NetworkFolderError
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, load_card, verify_checksums, write_folder
from pipeline.reports.model_card import render_model_card
from tests.support.data.versions import make_first_format
from tests.support.imaging.networks import phantom_inputs

WITHOUT_METRICS = {k: v for k, v in load_card(BASELINE).raw.items() if k != "metrics"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copytree(BASELINE, tmp_path / "version")


def test_shipped_folder_is_intact_and_small() -> None:
    verify_checksums(BASELINE)
    assert sum(path.stat().st_size for path in BASELINE.iterdir()) <= 12 * 2**20


def test_shipped_network_reached_its_floor() -> None:
    card = load_card(BASELINE)
    assert card.raw["metrics"]["validation"]["auroc"]["value"] >= 0.99
    assert 0 < card.thresholds["sensitive"] < card.thresholds["balanced"] < 1
    at_sensitive = card.raw["metrics"]["validation"]["operating_points"]["sensitive"]
    assert at_sensitive["sensitivity"]["value"] >= 0.98


def test_shipped_model_card_is_rendered_from_its_card() -> None:
    card = load_card(BASELINE)
    text = (BASELINE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text == render_model_card(card.raw)
    assert "Research use only" in text


@pytest.mark.parametrize("name", ["network.bin", "familiarity.npz", "card.json"])
def test_changed_byte_is_detected(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(NetworkFolderError, match=f"{name} in .* is damaged"):
        Predictor.open(folder)


def test_missing_and_unlisted_files_are_named(folder: Path) -> None:
    (folder / "network.bin").unlink()
    with pytest.raises(NetworkFolderError, match=r"network\.bin is missing"):
        verify_checksums(folder)
    path = folder / "checksums.sha256"
    lines = [line for line in path.read_text().splitlines() if "network.bin" not in line]
    path.write_text("\n".join(lines))
    with pytest.raises(NetworkFolderError, match=r"does not list network\.bin"):
        verify_checksums(folder)


def test_folder_of_format_1_still_predicts(tmp_path: Path) -> None:
    folder = make_first_format(tmp_path / "ours")
    predictor = Predictor.open(folder)
    assert predictor.engine.name.endswith(" float32")
    inputs = phantom_inputs(count=2)
    for answer in predictor.predict(255 - inputs):
        assert answer.threshold == 0.41
        assert answer.operating_point == "balanced"
        assert "inverted" in answer.warnings[0]
    with pytest.raises(NetworkFolderError, match="ours has no operating point sensitive"):
        Predictor.open(folder, operating_point="sensitive")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 99}', r"card\.json in .*: expected format 1 to 3, received 99"),
        (json.dumps(WITHOUT_METRICS), r"card\.json in .* lacks 'metrics'"),
    ]
    + [(content, r"card\.json") for content in ("", "[]", "{}", '{"format": 1}', "null")],
)
def test_invalid_card_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(NetworkFolderError, match=words):
        load_card(tmp_path)


def test_existing_version_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="never changed"):
        write_folder(folder, fill=lambda partial: None)


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fill(partial: Path) -> None:
        (partial / "card.json").write_text("{}")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk"):
        write_folder(tmp_path / "version", fill=fill)
    assert list(tmp_path.iterdir()) == []
