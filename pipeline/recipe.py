"""How a candidate is trained, given what it starts from and how much there is to learn from."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pipeline.training_config import TrainingConfig

Start = Literal["production", "imagenet"]
Mode = Literal["head", "upper blocks"]

# From a trained version a little is learned in small steps: 1e-3 for 15 epochs leaves the shipped
# network's AUROC on its own validation patients where it was, with 136 images or with 500 more.
# Sixty drawn films among some hundred radiographs are enough for the guard to let others pass, and
# take ten seconds to draw instead of forty.
WARM: Mapping[str, Any] = {"head_learning_rate": 1e-3, "drawn_films": 60}
WARM_HEAD: Mapping[str, Any] = {**WARM, "head_epochs": 15}
WARM_BLOCKS: Mapping[str, Any] = {
    **WARM,
    "head_epochs": 5,
    "epochs": 3,
    "learning_rate": 1e-4,
    "average_momentum": 0.95,  # of some hundred steps, not thousands
}
FROZEN_SHARE = 0.6  # the middle map lies below
_ADDED = re.compile(r" Since then, \d+ labelled images of this site\.$")


def candidate_config(
    card: Mapping[str, Any], *, name: str, start: Start, weights: Path | None, mode: Mode, site: int
) -> TrainingConfig:
    """The configuration of a candidate.

    card: of the version in production, whose settings go on to hold. weights: its network.keras,
    or the ImageNet weights (None downloads them), as `start` says. site: images of this site that
    it learns from.
    """
    config = TrainingConfig.from_json(card.get("config", {}))
    if start == "production":
        config = replace(config, **(WARM_HEAD if mode == "head" else WARM_BLOCKS))
        # The guard's features stay those of the version before, so that its guard can be kept.
        config = replace(config, frozen_share=max(config.frozen_share, FROZEN_SHARE))
        before = _ADDED.sub("", str(card.get("population", "")))
        population = f"{before} Since then, {site} labelled images of this site."
    else:
        # What production's card says of its images need not be true of these.
        config = replace(_anew(config), known_limits=())
        population = f"{site} labelled images of this site. ImageNet weights to start from."
    if mode == "head":
        config = replace(config, epochs=0)
    return replace(
        config,
        model_version=name,
        start_weights=weights,
        population=population.strip(),
        unfamiliar_warning=TrainingConfig.unfamiliar_warning,
    )


def _anew(config: TrainingConfig) -> TrainingConfig:
    """The recipe of a training from the start, of a network of the same shape."""
    return replace(TrainingConfig(), size=config.size, alpha=config.alpha)
