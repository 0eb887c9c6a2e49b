"""A snapshot becomes a model version that is not live."""

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
from worker.night.training_data import Lesson, MissingImageError, NotEnoughImagesError, read_lesson

__all__ = ["MissingImageError", "NotEnoughImagesError", "train_candidate"]


class ForeignFolderError(PipelineError):
    """The candidate's folder holds what was trained from something else."""


def candidate_name(night_id: int) -> str:
    """Of a night's version, and of its folder."""
    return f"night-{night_id}"


def train_candidate(
    context: AppContext,
    *,
    snapshot_id: int,
    production: ModelVersion,
    name: str,
    progress: Progress,
) -> ModelVersion:
    """Trained, or trained on from where it was interrupted; a finished folder is only registered.

    Whatever `progress` raises passes through and leaves the last checkpoint.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}")
    data_dir = context.settings.data_dir
    folder = data_dir / NETWORKS / name
    if not folder.exists():
        lesson = read_lesson(context, snapshot_id, progress=progress)
        with suppress(FileExistsError):  # who had lost this night's claim went on, and was faster
            _train(lesson, production, folder, settings=context.settings, progress=progress)
    _check_is_of(folder, context, snapshot_id)
    with context.sessions.begin() as session:
        return register_version(session, folder=folder, data_dir=data_dir)


def _check_is_of(folder: Path, context: AppContext, snapshot_id: int) -> None:
    with context.sessions() as session:
        snapshot = get_snapshot(session, snapshot_id)
    learned_from = load_card(folder).raw.get("snapshot", {}).get("digest")
    if snapshot is None or learned_from != snapshot.digest:
        raise ForeignFolderError(f"{folder.name} is there already, trained from other images")


def _train(
    lesson: Lesson,
    production: ModelVersion,
    folder: Path,
    *,
    settings: Settings,
    progress: Progress,
) -> None:
    from pipeline.training.train import train  # imports TensorFlow

    config = _config(lesson, production, name=folder.name, settings=settings)
    mixture = mix(lesson.sha256s, lesson.is_site, base_share=settings.train_base_share)
    guard = _kept_guard(lesson, production, settings=settings)
    entries = {
        "snapshot": {"id": lesson.snapshot.id, "digest": lesson.snapshot.digest},
        "started_from": _start(production, settings=settings),
        "mode": "upper blocks" if config.epochs else "head",
        "mixture": mixture.as_json() | {"asked_base_share": settings.train_base_share},
        "familiarity": _familiarity(lesson, kept_from=production.name if guard else None),
    }
    job = TrainingJob(
        config=config,
        training=lesson.learning,
        validation=lesson.validation,
        indices=mixture.indices,
        groups=lesson.groups,
        guard=guard,
        card_entries=lambda _: entries,
        progress=progress,
    )
    train(job, folder)


def _config(
    lesson: Lesson, production: ModelVersion, *, name: str, settings: Settings
) -> TrainingConfig:
    mode: Mode = "head" if lesson.site < settings.train_head_only_below else "upper blocks"
    live = version_path(production, data_dir=settings.data_dir)
    is_warm = settings.train_start == "production"
    return candidate_config(
        production.card,
        name=name,
        start=settings.train_start,
        weights=live / NETWORK_FILE if is_warm else settings.train_weights,
        mode=mode,
        site=lesson.site,
    )


def _kept_guard(lesson: Lesson, production: ModelVersion, *, settings: Settings) -> Guard | None:
    """Production's, where there is too little to learn anew what is usual.

    It fits: it judges by features below the blocks that learn. Those of other start weights are
    others, so there a new one is fitted, however few the images.
    """
    is_enough = is_enough_for_guard(
        learning=len(lesson.learning), validation=len(lesson.validation)
    )
    if is_enough or settings.train_start != "production":
        return None
    guard = Guard.load(version_path(production, data_dir=settings.data_dir) / FAMILIARITY_FILE)
    return None if guard.are_roots else guard  # the first format's judges by other features


def _start(production: ModelVersion, *, settings: Settings) -> dict[str, Any]:
    if settings.train_start == "production":
        return {"version": production.name}
    return {"weights": settings.train_weights.name if settings.train_weights else "ImageNet's"}


def _familiarity(lesson: Lesson, *, kept_from: str | None) -> dict[str, Any]:
    """See `pipeline.familiarity.guard.is_guard_of`."""
    counts = {"training_images": len(lesson.learning), "validation_images": len(lesson.validation)}
    guard = {"guard": "kept", "from": kept_from} if kept_from else {"guard": "fitted"}
    return {"snapshot": lesson.snapshot.digest, **guard, **counts}
