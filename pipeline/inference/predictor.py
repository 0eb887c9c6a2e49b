"""Predictions of a model version."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard
from pipeline.familiarity.orientation import as_stored, corrected
from pipeline.inference.engine import Engine, EngineKind, load_engine
from pipeline.inference.heatmap import measure_trust
from pipeline.inference.version_folder import BASELINE, Card, load_card, verify_checksums
from pipeline.types import Finding, HeatmapTrust, OperatingPoint, Prediction

T = TypeVar("T")
BATCH: Final = 32  # images at once: engines are no faster with more
OUT_OF_DISTRIBUTION: Final = "out of distribution: unfamiliarity {value:.2f}, limit {limit:.2f}"


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of BATCH items, the last one perhaps shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def probability_of(logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
    """Return calibrated probabilities (n,) in [0, 1] (temperature scaling, Guo 2017)."""
    scaled = np.clip(np.asarray(logits, np.float64) / temperature, -60, 60)
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-scaled))
    return probability


class Predictor:
    """Predicts from network inputs. Not thread-safe."""

    def __init__(self, *, card: Card, engine: Engine, guard: Guard) -> None:
        self.card = card
        self.engine = engine
        self.guard = guard

    @classmethod
    def open(
        cls,
        folder: Path = BASELINE,
        *,
        engine: EngineKind = "openvino",
        threads: int | None = None,
        operating_point: OperatingPoint = "balanced",
    ) -> "Predictor":
        """Verify a version's folder and load it. Raises NetworkFolderError."""
        verify_checksums(folder)
        return cls(
            card=load_card(folder).at(operating_point),
            engine=load_engine(folder, kind=engine, threads=threads),
            guard=Guard.load(folder / FAMILIARITY_FILE),
        )

    @property
    def model_version(self) -> str:
        return self.card.model_version

    def predict(self, network_inputs: NDArray[np.uint8]) -> list[Prediction]:
        """Predict uint8 (n, 224, 224), 0 = black, in order."""
        ways, sentences = self.guard.orientation.judge(network_inputs)
        upright = corrected(network_inputs, ways)
        inference = self.engine.infer(upright)
        probabilities = probability_of(inference.logits, temperature=self.card.temperature)
        unfamiliarities = self.guard.unfamiliarity(upright, inference.features)
        trusts = measure_trust(inference.heatmaps, upright)
        heatmaps = as_stored(inference.heatmaps, ways)
        return [
            self._prediction(
                logit=float(inference.logits[n]),
                probability=float(probabilities[n]),
                unfamiliarity=float(unfamiliarities[n]),
                orientation=sentences[n],
                heatmap=heatmaps[n],
                trust=trusts[n],
            )
            for n in range(len(upright))
        ]

    def predict_each(
        self, items: Iterable[tuple[T, NDArray[np.uint8]]]
    ) -> Iterator[tuple[T, Prediction]]:
        """Predict in batches: pairs of a key and a network input -> the keys with predictions.

        The order stays; at most BATCH items are read ahead of what is yielded.
        """
        for batch in batched(items):
            predictions = self.predict(np.stack([network_input for _, network_input in batch]))
            yield from zip((key for key, _ in batch), predictions, strict=True)

    def _prediction(
        self,
        *,
        logit: float,
        probability: float,
        unfamiliarity: float,
        orientation: str | None,
        heatmap: NDArray[np.float32],
        trust: HeatmapTrust,
    ) -> Prediction:
        card, limit = self.card, self.card.unfamiliarity_limit
        is_unfamiliar = unfamiliarity > limit
        is_near_limit = card.warning_limit < unfamiliarity <= limit
        warnings = orientation, card.warning if is_near_limit else None
        finding: Finding = "pneumonia" if probability >= card.threshold else "normal"
        reason = OUT_OF_DISTRIBUTION.format(value=unfamiliarity, limit=limit)
        return Prediction(
            logit=logit,
            probability=probability,
            threshold=card.threshold,
            operating_point=card.operating_point,
            temperature=card.temperature,
            finding=None if is_unfamiliar else finding,
            unfamiliarity=unfamiliarity,
            reason=reason if is_unfamiliar else None,
            warnings=tuple(warning for warning in warnings if warning),
            heatmap=heatmap,
            heatmap_trust=trust,
            model_version=card.model_version,
        )
