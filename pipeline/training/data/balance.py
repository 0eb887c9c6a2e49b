"""How often an epoch uses each image, and how much each weighs.

Both classes weigh the same within each stratum, a population and view: otherwise a network could
learn who is ill more often (in most collections those whose films were taken lying) in place of
what illness looks like.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import balanced_weights

MAX_REPEATS: Final = 30  # of an image of a stratum's rarer class in one epoch
LEAST_OF_CLASS: Final = 5  # images of each class in a stratum

Label = TypeVar("Label", bound=Hashable)
Strata = NDArray[np.str_]


@dataclass(frozen=True)
class Epoch:
    """indices: intp (m,), the training images of an epoch, some of them several times.

    weights: float64 (n,), by training image; their mean over an epoch is 1.
    """

    indices: NDArray[np.intp]
    weights: NDArray[np.float64]


def balance(
    labels: NDArray[np.uint8], strata: Strata, *, indices: NDArray[np.intp], rarer_share: float
) -> Epoch:
    """Repeat images of rarer classes, and weigh all.

    labels, strata: (n,). indices: what an epoch uses at least, (m,). rarer_share: in [0, 0.5], of
    a stratum's images in an epoch; those of its rarer class are repeated to have about as much,
    MAX_REPEATS times at most: each is another view, where a larger weight would be the same one.
    """
    of_epoch, strata = labels[indices], merge_small(labels[indices], strata[indices])
    repeats = np.ones(len(indices), np.intp)
    for stratum in np.unique(strata):
        counts = [int((of_epoch[strata == stratum] == label).sum()) for label in (0, 1)]
        rarer = int(np.argmin(counts))
        wanted = rarer_share / (1 - rarer_share) * max(counts)
        times = round(wanted / max(counts[rarer], 1))
        repeats[(strata == stratum) & (of_epoch == rarer)] = min(max(times, 1), MAX_REPEATS)
    repeated = np.repeat(indices, repeats)
    weights = np.zeros(len(labels))
    weights[repeated] = stratified_weights(labels[repeated], np.repeat(strata, repeats))
    return Epoch(repeated, weights)


def stratified_weights(labels: NDArray[np.uint8], strata: Strata) -> NDArray[np.float64]:
    """Return weights (n,), so that in each stratum each class has half of the stratum's sum."""
    strata = merge_small(labels, strata)
    weights = np.ones(len(labels))
    for stratum in np.unique(strata):
        weights[strata == stratum] = balanced_weights(labels[strata == stratum])
    return weights


def merge_small(labels: NDArray[np.uint8], strata: Strata) -> Strata:
    """Make one stratum of all with fewer than LEAST_OF_CLASS images of a class.

    Alone they would teach where they are from, or single images. If together they are still too
    few, they join the largest stratum.
    """
    names, of_name = np.unique(strata, return_inverse=True)
    counts = np.stack([np.bincount(of_name[labels == c], minlength=len(names)) for c in (0, 1)])
    is_small = counts.min(axis=0) < LEAST_OF_CLASS
    if not is_small.any() or is_small.all():
        return np.full(len(labels), "") if is_small.any() else strata
    largest = names[np.argmax(np.where(is_small, 0, counts.sum(axis=0)))]
    is_enough = counts[:, is_small].sum(axis=1).min() >= LEAST_OF_CLASS
    return np.where(is_small[of_name], "" if is_enough else largest, strata)


def one_class_origins(labels: Sequence[Label], origins: Sequence[str]) -> dict[str, Label]:
    """Return the origins of which one class alone is known, with that class.

    A network that learns from them learns to tell the hospital.
    """
    found: dict[str, set[Label]] = {}
    for label, origin in zip(labels, origins, strict=True):
        found.setdefault(origin, set()).add(label)
    return {origin: next(iter(known)) for origin, known in found.items() if len(known) == 1}
