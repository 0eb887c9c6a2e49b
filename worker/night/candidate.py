"""Train a candidate from a snapshot: a model version that is not in production."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.config.settings import Settings
from models.context import AppContext
from models.learning.snapshots import get_snapshot
from models.learning.versions import NETWORKS, register_version, version_path
from models.tables.intake import ModelVersion
from pipeline.errors import PipelineError
from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard, is_enough_for_guard
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.version_folder import load_card
from pipeline.training.config import Mode, TrainingConfig, candidate_config
from pipeline.training.job import Progress, TrainingJob
from pipeline.training.mixing import mix
from worker.night.training_data import TrainingData, read_training_data


class ForeignFolderError(PipelineError):
    """The candidate's folder holds a network trained on other images."""


def candidate_name(night_id: int) -> str:
    return f"night-{night_id}"


def train_candidate(
    context: AppContext,
    *,
    snapshot_id: int,
    production: ModelVersion,
    name: str,
    progress: Progress,
) -> ModelVersion:
    """Train, or continue an interrupted training; a finished folder is only registered.

    Exceptions of `progress` pass through and leave the last checkpoint.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}")
    data_dir = context.settings.data_dir
    folder = data_dir / NETWORKS / name
    if not folder.exists():
        from pipeline.training.train import train  # imports TensorFlow

        data = read_training_data(context, snapshot_id, progress=progress)
        job = _make_job(data, production, context.settings, name=name, progress=progress)
        with suppress(FileExistsError):  # a worker that had lost this night's claim was faster
            train(job, folder)
    _check_is_of(folder, context, snapshot_id)
    with context.sessions.begin() as session:
        return register_version(session, folder=folder, data_dir=data_dir)


def _check_is_of(folder: Path, context: AppContext, snapshot_id: int) -> None:
    with context.sessions() as session:
        snapshot = get_snapshot(session, snapshot_id)
    trained_on = load_card(folder).raw.get("snapshot", {}).get("digest")
    if snapshot is None or trained_on != snapshot.digest:
        raise ForeignFolderError(f"{folder.name} already exists, trained on other images")


def _make_job(
    data: TrainingData,
    production: ModelVersion,
    settings: Settings,
    *,
    name: str,
    progress: Progress,
) -> TrainingJob:
    config = _config(data, production, name=name, settings=settings)
    mixture = mix(data.sha256s, data.is_site, base_share=settings.train_base_share)
    guard = _kept_guard(data, production, settings=settings)
    entries = {
        "snapshot": {"id": data.snapshot.id, "digest": data.snapshot.digest},
        "started_from": _start(production, settings=settings),
        "mode": "upper blocks" if config.epochs else "head",
        "mixture": mixture.as_json() | {"asked_base_share": settings.train_base_share},
        "familiarity": _familiarity(data, kept_from=production.name if guard else None),
    }
    return TrainingJob(
        config=config,
        training=data.training,
        validation=data.validation,
        indices=mixture.indices,
        groups=data.groups,
        guard=guard,
        card_entries=lambda _: entries,
        progress=progress,
    )


def _config(
    data: TrainingData, production: ModelVersion, *, name: str, settings: Settings
) -> TrainingConfig:
    mode: Mode = "head" if data.site_images < settings.train_head_only_below else "upper blocks"
    weights = settings.train_weights
    if settings.train_start == "production":
        weights = version_path(production, data_dir=settings.data_dir) / NETWORK_FILE
    return candidate_config(
        production.card,
        name=name,
        start=settings.train_start,
        weights=weights,
        mode=mode,
        site=data.site_images,
    )


def _kept_guard(
    data: TrainingData, production: ModelVersion, *, settings: Settings
) -> Guard | None:
    """Production's guard, where there are too few images to fit a new one.

    It fits: its features are computed below the blocks that are trained. Those of other start
    weights differ, so there a new guard is fitted, however few the images.
    """
    is_enough = is_enough_for_guard(learning=len(data.training), validation=len(data.validation))
    if is_enough or settings.train_start != "production":
        return None
    guard = Guard.load(version_path(production, data_dir=settings.data_dir) / FAMILIARITY_FILE)
    return None if guard.are_roots else guard  # the first format's guard uses other features


def _start(production: ModelVersion, *, settings: Settings) -> dict[str, Any]:
    if settings.train_start == "production":
        return {"version": production.name}
    return {"weights": settings.train_weights.name if settings.train_weights else "ImageNet's"}


def _familiarity(data: TrainingData, *, kept_from: str | None) -> dict[str, Any]:
    """See `pipeline.familiarity.guard.is_guard_of`."""
    counts = {"training_images": len(data.training), "validation_images": len(data.validation)}
    guard = {"guard": "kept", "from": kept_from} if kept_from else {"guard": "fitted"}
    return {"snapshot": data.snapshot.digest, **guard, **counts}
