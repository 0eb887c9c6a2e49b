"""The configuration of a training, which is saved beside the weights."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.types import OperatingPoint, Precision

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=1e-9, le=10, allow_inf_nan=False)]
Epochs = Annotated[int, Field(ge=0, le=10_000)]
RETIRED = {"drawn_films"}  # in cards of earlier releases; ignored
START_WEIGHTS = "Input should be 'random' or the path of a file"


class TrainingConfigError(PipelineError):
    """A training has no such setting, or not this value."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="forbid"))
class TrainingConfig:
    """How a network is trained.

    start_weights: a Keras file with ImageNet weights, or a version's `network.keras`;
        None downloads Keras's own; "random" starts from noise (tests only).
    frozen_share: share of the network's layers, from the input up, that are frozen.
    average_momentum: of the exponential moving average of the weights that is kept.
    still_share: of the training images that are not moved. Moving blurs a little; if all were
        moved, the network would only know blurred images and give lower logits to the sharp ones
        in service.
    style_share: with the grey levels of another image. sharpness_share: softer or sharper.
    cover_share: with a patch, drawn twice.
    place_weight: in the loss, of the share of a pneumonia image's heatmap that lies where
        pneumonia hardly ever is (see `place`); 0 leaves heatmaps to themselves.
    rarer_share: of the images of an epoch, within each population and view, that the rarer class
        has at least; its images are repeated for it (see `balance`). Both classes weigh the same
        in any case.
    balanced_floor, sensitive_floor: the threshold rule's floors of sensitivity for the two
        operating points (see `calibration.choose_threshold`).
    unfamiliar_warning: shown with an image that is nearly out of distribution.
    population, known_limits: sentences for the card.
    precision: of the compiled network; int8 is quantised after training.
    split_key: key of the hash that assigns patients to splits; never change it, or
        patients move between training and validation.
    """

    model_version: str = "candidate"
    start_weights: Literal["random"] | Path | None = None
    size: Annotated[int, Field(ge=32, le=1024)] = 224
    alpha: Annotated[float, Field(ge=0.35, le=1.4, allow_inf_nan=False)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20
    split_key: str = "overread-1"
    validation_share: Share = 0.15
    head_epochs: Epochs = 30
    head_learning_rate: Rate = 3e-3
    epochs: Epochs = 8
    learning_rate: Rate = 3e-4
    weight_decay: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1e-3
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    dropout: Annotated[float, Field(ge=0, le=0.99, allow_inf_nan=False)] = 0.2
    frozen_share: Share = 0.6
    average_momentum: Share = 0.99
    still_share: Share = 0.3
    style_share: Share = 0.5
    sharpness_share: Share = 0.5
    cover_share: Share = 0.5
    place_weight: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    rarer_share: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.25
    balanced_floor: Share = 0.95
    sensitive_floor: Share = 0.98
    unfamiliar_warning: str = "somewhat unlike the images that the network was trained on"
    population: str = ""
    known_limits: tuple[str, ...] = ()
    precision: Precision = "float32"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainingConfig":
        """Read what `as_json` gives; missing settings have their defaults.

        Raises TrainingConfigError.
        """
        known = {name: value for name, value in values.items() if name not in RETIRED}
        try:  # as JSON, which has neither paths nor tuples
            return TypeAdapter(cls).validate_json(json.dumps(known, default=_path_as_text))
        except ValidationError as error:
            first = error.errors()[0]
            name = (first["loc"] or ("settings",))[0]  # without one: not JSON in Unicode
            # Of a union pydantic names one alternative at a time.
            complaint = START_WEIGHTS if name == "start_weights" else first["msg"]
            raise TrainingConfigError(f"{name}: {complaint}, received {first['input']!r}") from None

    def sensitivity_floors(self) -> dict[OperatingPoint, float]:
        return {"balanced": self.balanced_floor, "sensitive": self.sensitive_floor}

    def as_json(self) -> dict[str, object]:
        """Without the folder of the start weights."""
        values = asdict(self)
        if isinstance(self.start_weights, Path):
            values["start_weights"] = self.start_weights.name
        return values


def _path_as_text(value: object) -> str:
    if not isinstance(value, Path):  # a date of TOML
        raise TrainingConfigError(f"settings: expected numbers, text or lists, received {value}")
    return str(value)


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
        config = replace(
            TrainingConfig(), size=config.size, alpha=config.alpha, precision=config.precision
        )
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
