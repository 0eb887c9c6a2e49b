"""Train a candidate from a snapshot: a model version that is not in production."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from models.config.settings import Settings
from models.context import AppContext
from models.learning.versions import NETWORKS, register_version, version_path
from models.tables.intake import ModelVersion
from models.tables.learning import DatasetSnapshot
from pipeline.errors import PipelineError
from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard, is_enough_for_guard
from pipeline.inference.engine import NETWORK_FILE
from pipeline.inference.version_folder import load_card
from pipeline.training.config import candidate_config
from pipeline.training.data.mixing import mix
from pipeline.training.job import Progress, TrainingJob
from pipeline.training.train import train
from worker.night.training_data import TrainingData, read_training_data


class ForeignFolderError(PipelineError):
    """The candidate's folder holds a network trained on other images."""


def train_candidate(
    context: AppContext,
    *,
    snapshot: DatasetSnapshot,
    production: ModelVersion,
    name: str,
    progress: Progress,
) -> ModelVersion:
    """Train, or continue an interrupted training; a finished folder is only registered.

    Exceptions of `progress` pass through and leave the last checkpoint.
    """
    data_dir = context.settings.data_dir
    folder = data_dir / NETWORKS / name
    if not folder.exists():
        data = read_training_data(context, snapshot.id, progress=progress)
        job = _make_job(data, snapshot, production, context.settings, name=name, progress=progress)
        with suppress(FileExistsError):  # a worker that had lost this night's claim was faster
            train(job, folder)
    if load_card(folder).raw.get("snapshot", {}).get("digest") != snapshot.digest:
        raise ForeignFolderError(f"{folder.name} already exists, trained on other images")
    with context.sessions.begin() as session:
        return register_version(session, folder=folder, data_dir=data_dir)


def _make_job(
    data: TrainingData,
    snapshot: DatasetSnapshot,
    production: ModelVersion,
    settings: Settings,
    *,
    name: str,
    progress: Progress,
) -> TrainingJob:
    weights, guard = settings.train_weights, None
    started_from = {"weights": weights.name if weights else "ImageNet's"}
    if settings.train_start == "production":
        parent = version_path(production, data_dir=settings.data_dir)
        weights, guard = parent / NETWORK_FILE, _kept_guard(data, parent)
        started_from = {"version": production.name}
    config = candidate_config(
        production.card,
        name=name,
        start=settings.train_start,
        weights=weights,
        mode="head" if data.site_images < settings.train_head_only_below else "upper blocks",
        site=data.site_images,
    )
    mixture = mix(data.sha256s, data.is_site, base_share=settings.train_base_share)
    familiarity: dict[str, Any] = {  # see `pipeline.familiarity.guard.is_guard_of`
        "snapshot": snapshot.digest,
        **({"guard": "kept", "from": production.name} if guard else {"guard": "fitted"}),
        "training_images": len(data.training),
        "validation_images": len(data.validation),
    }
    entries = {
        "snapshot": {"id": snapshot.id, "digest": snapshot.digest},
        "started_from": started_from,
        "mode": "upper blocks" if config.epochs else "head",
        "mixture": mixture.as_json()
        | {
            "asked_base_share": settings.train_base_share,
            "one_class_origins": data.one_class_origins,
        },
        "familiarity": familiarity,
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


def _kept_guard(data: TrainingData, parent: Path) -> Guard | None:
    """The guard of the version that training starts from, if there are too few images to fit one.

    It fits: its features are computed below the blocks that are trained. Those of other start
    weights differ, so there a new guard is fitted, however few the images.
    """
    if is_enough_for_guard(learning=len(data.training), validation=len(data.validation)):
        return None
    guard = Guard.load(parent / FAMILIARITY_FILE)
    return None if guard.are_roots else guard  # the first format's guard uses other features
