"""The compiled network: in float32, and quantised."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.inference.engine import load_engine
from pipeline.inference.predictor import Predictor
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.inference.without_vnni import LimitedEngine, has_vnni
from pipeline.training.train import read_job, train_sets
from tests.support.imaging.networks import TOY, phantom_inputs, to_peak, write_dataset

needs_vnni = pytest.mark.skipif(not has_vnni(), reason="int8 is exported on processors with VNNI")


@pytest.mark.tensorflow
@needs_vnni
def test_int8_version_is_calibrated_and_measured_as_it_serves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset, config = write_dataset(tmp_path / "dataset"), replace(TOY, precision="int8")
    folder = train_sets([dataset], tmp_path / "toy", config=config)
    assert "Statistics" not in capfd.readouterr().out, "standard output is the command's"
    assert "openvino_telemetry.main" not in sys.modules, "the export sends no telemetry"
    card = load_card(folder)
    assert card.precision == card.raw["precision"] == card.raw["config"]["precision"] == "int8"
    assert card.raw["libraries"]["nncf"]
    assert "8-bit integers" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "FakeQuantize" in (folder / "network.xml").read_text(encoding="utf-8")
    predictor = Predictor.open(folder)
    assert predictor.engine.name.endswith(" int8")
    validation = read_job([dataset], config=config).validation
    assert card.raw["without_vnni"]["images"] == len(validation)
    found = [answer.probability for answer in predictor.predict(validation.images)]
    brier = np.mean((np.array(found) - validation.labels) ** 2)
    assert card.raw["metrics"]["validation"]["brier"]["value"] == pytest.approx(brier, abs=1e-4)


@pytest.mark.tensorflow
@needs_vnni
def test_int8_network_is_like_the_float32_one_on_every_processor(tmp_path: Path) -> None:
    """Without VNNI, products of the whole range would be cut off at 16 bits."""
    import keras

    from pipeline.training.export import export_network

    network = keras.models.load_model(BASELINE / "network.keras", compile=False)
    export_network(network, tmp_path, calibration=phantom_inputs(count=24))
    found = load_engine(tmp_path, precision="int8").infer(phantom_inputs())
    expected = load_engine(BASELINE).infer(phantom_inputs())
    for name in ("logits", "heatmaps", "features"):
        alike = np.corrcoef(getattr(found, name).ravel(), getattr(expected, name).ravel())[0, 1]
        assert alike > 0.9, name
    limited = LimitedEngine(tmp_path).infer(phantom_inputs())
    assert not np.array_equal(found.logits, limited.logits), "the limit takes effect"
    np.testing.assert_allclose(found.logits, limited.logits, atol=0.3)
    np.testing.assert_allclose(to_peak(found.heatmaps), to_peak(limited.heatmaps), atol=0.2)
