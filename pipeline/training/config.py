"""The configuration of a training, which is saved beside the weights."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pipeline.errors import PipelineError
from pipeline.training.augmentation import Shares
from pipeline.types import OperatingPoint

# Lowest and highest value, both included.
LIMITS: dict[str, tuple[float, float]] = {
    "size": (32, 1024),
    "alpha": (0.35, 1.4),
    "seed": (0, 2**31 - 1),
    "head_epochs": (0, 10_000),
    "epochs": (0, 10_000),
    "batch_size": (1, 4096),
    "head_learning_rate": (1e-9, 10),
    "learning_rate": (1e-9, 10),
    "weight_decay": (0, 10),
    "dropout": (0, 0.99),
    **dict.fromkeys(("validation_share", "frozen_share", "average_momentum"), (0, 1)),
    **dict.fromkeys(("balanced_floor", "sensitive_floor"), (0, 1)),
    **dict.fromkeys(("still_share", "style_share", "sharpness_share", "cover_share"), (0, 1)),
}

RETIRED = {"drawn_films"}  # in cards of earlier releases; ignored


class TrainingConfigError(PipelineError):
    """A training has no such setting, or not this value."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    start_weights: a Keras file with ImageNet weights, or a version's `network.keras`;
        None downloads Keras's own; "random" starts from noise (tests only).
    frozen_share: share of the network's layers, from the input up, that are frozen.
    average_momentum: of the exponential moving average of the weights that is kept.
    still_share, style_share, sharpness_share, cover_share: see `augmentation.Shares`.
    balanced_floor, sensitive_floor: the threshold rule's floors of sensitivity for the two
        operating points (see `calibration.choose_threshold`).
    unfamiliar_warning: shown with an image that is nearly out of distribution.
    population, known_limits: sentences for the card.
    split_key: key of the hash that assigns patients to splits; never change it, or
        patients move between training and validation.
    """

    model_version: str = "candidate"
    start_weights: Path | str | None = None
    size: int = 224
    alpha: float = 1.0
    seed: int = 20
    split_key: str = "overread-1"
    validation_share: float = 0.15
    head_epochs: int = 30
    head_learning_rate: float = 3e-3
    epochs: int = 8
    learning_rate: float = 3e-4
    weight_decay: float = 1e-3
    batch_size: int = 32
    dropout: float = 0.2
    frozen_share: float = 0.6
    average_momentum: float = 0.99
    still_share: float = 0.3
    style_share: float = 0.5
    sharpness_share: float = 0.5
    cover_share: float = 0.5
    balanced_floor: float = 0.95
    sensitive_floor: float = 0.98
    unfamiliar_warning: str = "somewhat unlike the images that the network was trained on"
    population: str = ""
    known_limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises TrainingConfigError."""
        for name, kind in get_type_hints(TrainingConfig).items():
            _check(name, getattr(self, name), kind)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingConfig":
        """Read what `as_json` gives; missing settings have their defaults.

        Raises TrainingConfigError.
        """
        kinds = get_type_hints(cls)
        values = {name: value for name, value in values.items() if name not in RETIRED}
        for name in values:
            if name not in kinds:
                raise TrainingConfigError(f"{name}: a training has no such setting")
        return cls(**{name: _from_json(value, kinds[name]) for name, value in values.items()})

    def augmentation_shares(self) -> Shares:
        return Shares(
            still=self.still_share,
            style=self.style_share,
            sharpness=self.sharpness_share,
            cover=self.cover_share,
        )

    def sensitivity_floors(self) -> dict[OperatingPoint, float]:
        return {"balanced": self.balanced_floor, "sensitive": self.sensitive_floor}

    def as_json(self) -> dict[str, object]:
        """Without the folder of the start weights."""
        values = asdict(self)
        if isinstance(self.start_weights, Path):
            values["start_weights"] = self.start_weights.name
        return values


def _from_json(value: Any, kind: Any) -> Any:
    """JSON has neither paths nor tuples, and people write 1.0 as 1."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and kind == Path | str | None and value != "random":
        return Path(value)
    return float(value) if kind is float and type(value) is int else value


def _check(name: str, value: Any, kind: Any) -> None:
    if not _is_a(value, kind):
        words = {tuple[str, ...]: "list of texts", float: "number", int: "whole number"}
        expected = words.get(kind, "text")
        raise TrainingConfigError(f"{name}: expected a {expected}, received {value!r}")
    low, high = LIMITS.get(name, (value, value))
    # Written so that nan is refused, too.
    if name in LIMITS and not low <= value <= high:
        raise TrainingConfigError(f"{name}: expected {low:g} to {high:g}, received {value!r}")


def _is_a(value: Any, kind: Any) -> bool:
    if kind == tuple[str, ...]:
        return isinstance(value, tuple) and all(isinstance(entry, str) for entry in value)
    if kind is float:
        kind = float | int
    return isinstance(value, kind) and not isinstance(value, bool)


Start = Literal["production", "imagenet"]
Mode = Literal["head", "upper blocks"]

# A trained version is changed in small steps: 1e-3 for 15 epochs leaves the shipped network's
# AUROC on its own validation patients unchanged, with 136 images or with 500 more.
WARM: Mapping[str, Any] = {"head_learning_rate": 1e-3}
WARM_HEAD: Mapping[str, Any] = {**WARM, "head_epochs": 15}
WARM_BLOCKS: Mapping[str, Any] = {
    **WARM,
    "head_epochs": 5,
    "epochs": 3,
    "learning_rate": 1e-4,
    "average_momentum": 0.95,  # of some hundred steps, not thousands
}
FROZEN_SHARE = 0.6  # the middle feature map is below
_ADDED = re.compile(r" Since then, \d+ labelled images of this site\.$")


def candidate_config(
    card: Mapping[str, Any], *, name: str, start: Start, weights: Path | None, mode: Mode, site: int
) -> TrainingConfig:
    """Return the configuration of a candidate.

    card: of the production version, whose settings are kept. weights: its network.keras, or the
    ImageNet weights (None downloads them), as `start` says. site: training images of this site.
    """
    config = TrainingConfig.from_json(card.get("config", {}))
    if start == "production":
        config = replace(config, **(WARM_HEAD if mode == "head" else WARM_BLOCKS))
        # Features below the middle map stay the same, so that the guard can be kept.
        config = replace(config, frozen_share=max(config.frozen_share, FROZEN_SHARE))
        before = _ADDED.sub("", str(card.get("population", "")))
        population = f"{before} Since then, {site} labelled images of this site."
    else:
        # A network of the same shape; what production's card says of its images may not hold.
        config = replace(TrainingConfig(), size=config.size, alpha=config.alpha)
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
