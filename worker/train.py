"""A training becomes a model version that is not live."""

import logging
import re
from dataclasses import replace
from pathlib import Path

from models.tables import ModelVersion
from models.versions import register_version
from pipeline.training import train
from pipeline.training_config import TrainingConfig, TrainingProgress
from worker.doors import Doors

log = logging.getLogger(__name__)

NETWORKS = "networks"
DEFAULT_CONFIG = TrainingConfig()


def train_candidate(
    doors: Doors, *, dataset: str, name: str, config: TrainingConfig = DEFAULT_CONFIG
) -> ModelVersion:
    """An order that arrives twice trains once: a finished folder is only registered."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}")
    data_dir = doors.settings.data_dir
    folder = data_dir / NETWORKS / name
    if not folder.exists():
        train(Path(dataset), folder, config=replace(config, model_version=name), progress=_log)
    with doors.sessions.begin() as session:
        return register_version(session, folder=folder, data_dir=data_dir)


def _log(step: TrainingProgress) -> None:
    log.info("%s %d/%d %s", step.stage, step.done, step.total, step.text)
