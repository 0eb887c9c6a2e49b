"""A training order ends as a model version that is registered and not live."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from models.versions import find_version, install_baseline, production_version, version_path
from pipeline.predictor import Predictor
from pipeline.training_config import TrainingConfig
from worker.doors import Doors
from worker.train import train_candidate

TOY = TrainingConfig(
    start_weights="random", alpha=0.35, epochs=1, head_epochs=1, batch_size=8, validation_share=0.5
)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Bright and dark noise, in the public layout; one patient per image."""
    noise = np.random.default_rng(0)
    for label, top in (("NORMAL", 120), ("PNEUMONIA", 255)):
        folder = tmp_path / "dataset" / "train" / label
        folder.mkdir(parents=True)
        for number in range(12):
            pixels = noise.integers(0, top, (64, 64), np.uint8)
            Picture.fromarray(pixels).save(folder / f"{label}-{number:04}-0001.jpeg")
    return tmp_path / "dataset"


@pytest.mark.tensorflow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_candidate_is_registered_once_and_not_live(doors: Doors, dataset: Path) -> None:
    data_dir = doors.settings.data_dir
    with doors.sessions.begin() as session:
        install_baseline(session, data_dir=data_dir)
    made = train_candidate(doors, dataset=str(dataset), name="toy-1", config=TOY)
    again = train_candidate(doors, dataset="gone by now", name="toy-1", config=TOY)
    assert made.id == again.id
    with doors.sessions() as session:
        version, live = find_version(session, "toy-1"), production_version(session)
    assert version is not None
    assert live is not None
    assert live.id != version.id
    assert Predictor.open(version_path(version, data_dir=data_dir)).model_version == "toy-1"


@pytest.mark.parametrize("name", ["../elsewhere", "", "a b", ".hidden"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_name_that_is_no_folder_name_is_refused(doors: Doors, name: str) -> None:
    with pytest.raises(ValueError, match="Expected a name"):
        train_candidate(doors, dataset="any", name=name)
