"""The errors that the network was surest of, however many images go by."""

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Prediction

KEPT: Final = 6  # of each kind


@dataclass(frozen=True)
class WorstError:
    """file: its name for people. heatmap: float32 (h, w), unscaled. is_strange: no finding."""

    file: str
    path: Path
    probability: float
    unfamiliarity: float
    is_strange: bool
    heatmap: NDArray[np.float32]


class WorstErrors:
    """Keeps `kept` false positives and as many false negatives, with their heatmaps."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._seen = 0
        # By label. The count breaks ties: earlier is greater, and errors are never compared.
        self._heaps: dict[int, list[tuple[float, int, WorstError]]] = {0: [], 1: []}

    def see(self, prediction: Prediction, *, label: int, file: str, path: Path) -> None:
        """label: 0 normal, 1 pneumonia."""
        is_called = prediction.probability >= prediction.threshold
        if is_called == (label == 1):
            return
        self._seen += 1
        # Beyond the range of a probability there is still a surer logit.
        sureness = prediction.logit if is_called else -prediction.logit
        error = WorstError(
            file=file,
            path=path,
            probability=prediction.probability,
            unfamiliarity=prediction.unfamiliarity,
            is_strange=prediction.finding is None,
            heatmap=prediction.heatmap,
        )
        heap = self._heaps[label]
        heapq.heappush(heap, (sureness, -self._seen, error))
        if len(heap) > self._kept:
            heapq.heappop(heap)

    def false_positives(self) -> list[WorstError]:
        """Normal by their label, surest first."""
        return self._sorted(0)

    def false_negatives(self) -> list[WorstError]:
        """Pneumonia by their label, surest first."""
        return self._sorted(1)

    def _sorted(self, label: int) -> list[WorstError]:
        return [error for _, _, error in sorted(self._heaps[label], reverse=True)]
