"""A model version opened for answering."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import probability_of
from pipeline.engine import Engine, EngineKind, load_engine
from pipeline.familiarity import Guard
from pipeline.polarity import INVERTED, is_inverted
from pipeline.types import Finding, Prediction
from pipeline.version_folder import (
    BASELINE,
    FAMILIARITY_FILE,
    Card,
    load_card,
    verify_checksums,
)

STRANGE = (
    "too unlike the radiographs that the network learned from: "
    "unfamiliarity {value:.2f}, expected at most {limit:.2f}"
)


class Predictor:
    """Turns network inputs into answers. Not for several threads at once."""

    def __init__(self, *, card: Card, engine: Engine, guard: Guard) -> None:
        self.card = card
        self.engine = engine
        self._guard = guard

    @classmethod
    def open(
        cls,
        folder: Path = BASELINE,
        *,
        engine: EngineKind = "openvino",
        threads: int | None = None,
    ) -> "Predictor":
        """Check the folder's files and load them. Raises NetworkFolderError."""
        verify_checksums(folder)
        return cls(
            card=load_card(folder),
            engine=load_engine(folder, kind=engine, threads=threads),
            guard=Guard.load(folder / FAMILIARITY_FILE),
        )

    @property
    def model_version(self) -> str:
        return self.card.model_version

    def predict(self, network_inputs: NDArray[np.uint8]) -> list[Prediction]:
        """uint8 (n, 224, 224), 0 = black -> n answers, in order."""
        inverted = is_inverted(network_inputs, usual=self._guard.appearance)
        upright = np.where(inverted[:, None, None], 255 - network_inputs, network_inputs)
        inference = self.engine.infer(upright)
        probabilities = probability_of(inference.logits, temperature=self.card.temperature)
        unfamiliarities = self._guard.unfamiliarity(upright, inference.features)
        return [
            self._answer(
                logit=float(inference.logits[n]),
                probability=float(probabilities[n]),
                unfamiliarity=float(unfamiliarities[n]),
                warnings=(INVERTED,) if inverted[n] else (),
                heatmap=inference.heatmaps[n],
            )
            for n in range(len(upright))
        ]

    def _answer(
        self,
        *,
        logit: float,
        probability: float,
        unfamiliarity: float,
        warnings: tuple[str, ...],
        heatmap: NDArray[np.float32],
    ) -> Prediction:
        limit = self.card.unfamiliarity_limit
        is_strange = unfamiliarity > limit
        finding: Finding = "pneumonia" if probability >= self.card.threshold else "normal"
        return Prediction(
            logit=logit,
            probability=probability,
            threshold=self.card.threshold,
            finding=None if is_strange else finding,
            unfamiliarity=unfamiliarity,
            reason=STRANGE.format(value=unfamiliarity, limit=limit) if is_strange else None,
            warnings=warnings,
            heatmap=heatmap,
            model_version=self.card.model_version,
        )
