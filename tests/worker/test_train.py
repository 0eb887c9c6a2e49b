"""A training order ends as a model version that is registered and not live.

Training itself is tested with the pipeline; here its folder is there already, as it is when an
order arrives a second time.
"""

import json
import shutil
from pathlib import Path

import pytest

from models.versions import find_version, install_baseline, production_version, version_path
from pipeline.dataset import DatasetError
from pipeline.version_folder import BASELINE
from worker.doors import Doors
from worker.train import train_candidate

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def finish_training(folder: Path) -> None:
    shutil.copytree(BASELINE, folder)
    card = folder / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"model_version": folder.name}))


def test_a_candidate_is_registered_once_and_not_live(doors: Doors) -> None:
    data_dir = doors.settings.data_dir
    with doors.sessions.begin() as session:
        install_baseline(session, data_dir=data_dir)
    finish_training(data_dir / "networks" / "spring-1")
    made = train_candidate(doors, dataset="gone by now", name="spring-1")
    again = train_candidate(doors, dataset="gone by now", name="spring-1")
    assert made.id == again.id
    with doors.sessions() as session:
        version, live = find_version(session, "spring-1"), production_version(session)
    assert version is not None
    assert live is not None
    assert live.id != version.id
    assert version_path(version, data_dir=data_dir) == data_dir / "networks" / "spring-1"


def test_a_dataset_that_is_not_there_registers_nothing(doors: Doors, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a folder"):
        train_candidate(doors, dataset=str(tmp_path), name="spring-1")
    with doors.sessions() as session:
        assert find_version(session, "spring-1") is None


@pytest.mark.parametrize("name", ["../elsewhere", "", "a b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(doors: Doors, name: str) -> None:
    with pytest.raises(ValueError, match="Expected a name"):
        train_candidate(doors, dataset="any", name=name)
