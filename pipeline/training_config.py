"""Every number of a training, in one frozen object that is saved beside the weights."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.types import OperatingPoint


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    start_weights: a Keras file with ImageNet weights; None downloads Keras's own;
        "random" starts from noise (tests only).
    frozen_share: share of the network's layers, from the input up, that stay as they were.
    average_momentum: of the exponential moving average of the weights that is kept.
    balanced_floor, sensitive_floor: the threshold rule's floors of sensitivity for the two
        operating points (see `calibration.choose_threshold`).
    unfamiliar_warning: what to say of an image near the limit of what the network knows.
    strange_share: share of validation images that the unfamiliarity limit may refuse.
    population: whom the images show; known_limits: what to warn of. Both for the card.
    split_key: key of the hash that assigns patients to splits; never change it, or
        patients wander between training and validation.
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
    epochs: int = 5
    learning_rate: float = 3e-4
    weight_decay: float = 1e-3
    batch_size: int = 32
    dropout: float = 0.2
    frozen_share: float = 1 / 3
    average_momentum: float = 0.99
    balanced_floor: float = 0.95
    sensitive_floor: float = 0.98
    strange_share: float = 0.015
    unfamiliar_warning: str = "somewhat unlike the images that the network was trained on"
    population: str = ""
    known_limits: tuple[str, ...] = ()

    def sensitivity_floors(self) -> dict[OperatingPoint, float]:
        return {"balanced": self.balanced_floor, "sensitive": self.sensitive_floor}

    def as_json(self) -> dict[str, object]:
        """Without the start weights' folder: a path says where, not what."""
        values = asdict(self)
        if isinstance(self.start_weights, Path):
            values["start_weights"] = self.start_weights.name
        return values


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """One step forward, for whoever draws the bar.

    stage: "read", "head", "fine-tune", "evaluate" or "export".
    done, total: in the stage's own steps. text: the latest figures, for people.
    """

    stage: str
    done: int
    total: int
    text: str = ""
