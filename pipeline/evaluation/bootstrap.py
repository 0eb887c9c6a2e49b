"""Confidence intervals of metrics by bootstrap over patients (Efron 1979)."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Draws

DRAWS: Final = 2000
LEVEL: Final = 0.95
_CELLS: Final = 2_000_000  # weights in memory at once

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A metric with its equal-tailed percentile interval; all None where it has no value."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, float | None]:
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {name: value if value is None else round(value, 6) for name, value in bounds.items()}


def bootstrap(
    measure: Callable[[Draws], Mapping[Name, Draws]],
    *,
    patients: NDArray[np.generic],
    draws: int = DRAWS,
    level: float = LEVEL,
) -> dict[Name, Interval]:
    """Return every metric of `measure` with its interval; deterministic.

    measure: float64 weights (d, n) -> name -> float64 (d,), as the functions of `metrics`.
    patients: (n,), of each image. A patient's images are drawn together, since they are alike:
    drawing images independently would make the intervals too narrow.
    level: share of the draws within the interval, in (0, 1).
    """
    values = measure(np.ones((1, len(patients))))
    drawn = [measure(weights) for weights in draw_patients(patients, draws=draws)]
    return {
        name: _interval(
            float(value[0]), np.concatenate([part[name] for part in drawn]), level=level
        )
        for name, value in values.items()
    }


def draw_patients(patients: NDArray[np.generic], *, draws: int) -> Iterator[Draws]:
    """Draw as many patients as there are, with replacement, `draws` times.

    Yields float64 (some draws, n), how often each image counts, in parts of bounded memory.
    """
    random = np.random.default_rng(0)
    names, patient = np.unique(patients, return_inverse=True)
    at_once = max(1, _CELLS // len(patient))
    for start in range(0, draws, at_once):
        size = min(at_once, draws - start)
        chosen = random.integers(len(names), size=(size, len(names)))
        chosen += len(names) * np.arange(size)[:, None]
        times = np.bincount(chosen.ravel(), minlength=size * len(names))
        yield times.reshape(size, len(names))[:, patient].astype(np.float64)


def _interval(value: float, drawn: Draws, *, level: float) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Interval(None, None, None)
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return Interval(value, float(low), float(high))
