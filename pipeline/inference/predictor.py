"""Predictions of a model version."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.checksum import sha256_of
from pipeline.familiarity.distance import appearance
from pipeline.familiarity.guard import FAMILIARITY_FILE, Guard
from pipeline.familiarity.orientation import as_stored, corrected
from pipeline.inference.compiled_cache import CompiledCache
from pipeline.inference.engine import Engine, EngineKind, load_engine
from pipeline.inference.heatmap import measure_trust
from pipeline.inference.population import PopulationHead, choose_readings
from pipeline.inference.version_folder import (
    BASELINE,
    CHECKSUMS_FILE,
    Card,
    load_card,
    verify_checksums,
)
from pipeline.types import NETWORK_INPUT_SIDE, Finding, OperatingPoint, Population, Prediction

T = TypeVar("T")
BATCH: Final = 32  # images at once: engines are no faster with more
BLANK: Final = np.zeros((1, NETWORK_INPUT_SIDE, NETWORK_INPUT_SIDE), np.uint8)  # for trials


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of BATCH items, the last one perhaps shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def probability_of(
    logits: NDArray[np.floating],
    *,
    temperature: float | NDArray[np.float64],
    offset: float | NDArray[np.float64] = 0.0,
) -> NDArray[np.float64]:
    """Return calibrated probabilities (n,) in [0, 1] (temperature scaling, Guo 2017; with an
    offset, Platt 1999). temperature, offset: of all, or (n,).
    """
    scaled = np.clip((np.asarray(logits, np.float64) - offset) / temperature, -60, 60)
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-scaled))
    return probability


@dataclass(frozen=True)
class Predictor:
    """Predicts from network inputs. Not thread-safe.

    population_head: asked for the population of images that state none.
    """

    card: Card
    engine: Engine
    guard: Guard
    population_head: PopulationHead | None = None

    @classmethod
    def open(
        cls,
        folder: Path = BASELINE,
        *,
        engine: EngineKind = "openvino",
        operating_point: OperatingPoint = "balanced",
        cache: Path | None = None,
    ) -> "Predictor":
        """Verify a version's folder and load it. Raises NetworkFolderError.

        cache: a folder for compiled networks, made where it is missing.
        """
        verify_checksums(folder)
        compiled = CompiledCache(cache, sha256_of(folder / CHECKSUMS_FILE)) if cache else None
        card = load_card(folder).at(operating_point)
        return cls(
            card=card,
            engine=load_engine(folder, kind=engine, precision=card.precision, cache=compiled),
            guard=Guard.load(folder / FAMILIARITY_FILE),
        )

    def predict(
        self,
        network_inputs: NDArray[np.uint8],
        *,
        populations: Sequence[Population | None] | None = None,
    ) -> list[Prediction]:
        """Predict uint8 (n, 224, 224), 0 = black, in order.

        populations: n, as stated for each image; without it none is stated.
        """
        thumbnails = appearance(network_inputs)
        ways, sentences = self.guard.orientation.judge(thumbnails)
        upright = corrected(network_inputs, ways)
        if upright is not network_inputs:
            thumbnails = appearance(upright)
        inference = self.engine.infer(upright)
        stated = populations or [None] * len(network_inputs)
        readings = choose_readings(self.card, stated, inference, head=self.population_head)
        probabilities = probability_of(
            inference.logits,
            temperature=np.array([one.calibration.temperature for one in readings]),
            offset=np.array([one.calibration.offset for one in readings]),
        )
        unfamiliarities = self.guard.unfamiliarity(thumbnails, inference.features)
        trusts = measure_trust(inference.heatmaps, upright)
        heatmaps = as_stored(inference.heatmaps, ways)
        predictions = []
        for n, (trust, reading) in enumerate(zip(trusts, readings, strict=True)):
            probability, unfamiliarity = float(probabilities[n]), float(unfamiliarities[n])
            threshold = reading.calibration.thresholds[self.card.operating_point]
            finding, reason, warning = self._judge(probability, unfamiliarity, threshold=threshold)
            prediction = Prediction(
                logit=float(inference.logits[n]),
                probability=probability,
                threshold=threshold,
                operating_point=self.card.operating_point,
                temperature=reading.calibration.temperature,
                finding=finding,
                unfamiliarity=unfamiliarity,
                reason=reason,
                warnings=tuple(filter(None, (sentences[n], reading.warning, warning))),
                heatmap=heatmaps[n],
                heatmap_trust=trust,
                model_version=self.card.model_version,
                orientation=int(ways[n]),
                population=reading.population,
            )
            predictions.append(prediction)
        return predictions

    def predict_each(
        self,
        items: Iterable[tuple[T, NDArray[np.uint8]]],
        *,
        population_of: Callable[[T], Population | None] = lambda key: None,
    ) -> Iterator[tuple[T, Prediction]]:
        """Predict in batches: pairs of a key and a network input -> the keys with predictions.

        population_of: as stated for the image of a key. The order stays; at most BATCH items are
        read ahead of what is yielded.
        """
        for batch in batched(items):
            predictions = self.predict(
                np.stack([network_input for _, network_input in batch]),
                populations=[population_of(key) for key, _ in batch],
            )
            yield from zip((key for key, _ in batch), predictions, strict=True)

    def _judge(
        self, probability: float, unfamiliarity: float, *, threshold: float
    ) -> tuple[Finding | None, str | None, str | None]:
        """Return the finding or the reason why there is none, and a warning near the limit."""
        limit = self.card.unfamiliarity_limit
        if unfamiliarity > limit:
            distance = f"unfamiliarity {unfamiliarity:.2f}, limit {limit:.2f}"
            return None, f"out of distribution: {distance}", None
        warning = self.card.warning if unfamiliarity > self.card.warning_limit else None
        return "pneumonia" if probability >= threshold else "normal", None, warning
