"""Leakage between splits: images that would let a network be tested on its training data.

A leak joins two images in different splits: of one patient, of one study, with equal pixels, or
with nearly equal ones. The image of the lower split is excluded: test ranks above validation,
validation above train.

The limits of nearly equal pixels were measured on the public training set (5,232 images of
children). 300 of them as JPEG of quality 50, at half the size, brighter or darker by a tenth, with
gamma 0.75, contrast 1.3 or noise: distances of at most 27 of 256 bits, correlations of at least
0.940. All 13.7 million pairs of different patients: none nearer than 44 bits; 485 within 64, with
correlations of at most 0.762. With both limits every such copy is found, as are originals at full
resolution (5 bits, 0.999), and no two patients are confused. Copies rotated by a degree or cropped
by 2 % at each side are mostly not found.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.fingerprint import HASH_BITS, Fingerprint, detail_correlation, hash_signs
from pipeline.text import plural
from pipeline.types import Split

MAX_DISTANCE: Final = 64  # of 256 bits
MIN_CORRELATION: Final = 0.9  # of detail
EXAMPLES: Final = 5  # of each kind, in a report

Kind = Literal["patient", "study", "pixels", "near"]
Signs = NDArray[np.float32]  # (n, 256) of -1 and 1
ReadInputs = Callable[[Sequence[str]], NDArray[np.uint8]]

_ROWS: Final = 1024  # of the table of distances at once; with _COLUMNS 16 MB
_COLUMNS: Final = 4096
_NEAREST: Final = 4  # so many candidates are looked at for each image
_PAIRS: Final = 64  # whose inputs are in memory at once
_SAME: Final[dict[Kind, str]] = {
    "patient": "same patient in {other}",
    "study": "same study in {other}",
    "pixels": "identical pixels in {other}",
    "near": "nearly identical pixels in {other}",
}


@dataclass(frozen=True)
class CheckedImage:
    """One image to check. study_hash: None where the file states no study."""

    sha256: str
    split: Split
    patient_hash: str
    study_hash: str | None
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Leak:
    """An excluded image, and the image of a higher split that is the reason."""

    kind: Kind
    excluded: str  # sha256
    split: Split
    other: str  # sha256
    other_split: Split


def find_leaks(images: Sequence[CheckedImage], *, read_inputs: ReadInputs) -> list[Leak]:
    """Return at most one leak of each kind for each image, in a fixed order.

    read_inputs: returns the network inputs of these sha256, uint8 (n, 224, 224); called only for
    similar pairs, 64 pairs at a time.
    """
    ordered = sorted(images, key=lambda image: image.sha256)
    equal = list(_shared(ordered, "pixels", lambda image: image.fingerprint.input_sha256))
    copies = {leak.excluded for leak in equal}
    return [
        *_shared(ordered, "patient", lambda image: image.patient_hash),
        *_shared(ordered, "study", lambda image: image.study_hash),
        *equal,
        *_near([image for image in ordered if image.sha256 not in copies], read_inputs),
    ]


def leak_report(leaks: Sequence[Leak]) -> dict[str, Any]:
    """Return JSON: the number of excluded images, counts and examples by kind, and sentences."""
    excluded = {leak.excluded: leak.split for leak in leaks}
    return {
        "images": len(excluded),
        "splits": dict(Counter(excluded.values())),
        "kinds": {kind: _of_kind(leaks, kind) for kind in get_args(Kind)},
        "words": _sentences(leaks),
    }


def _shared(
    images: Iterable[CheckedImage], kind: Kind, of: Callable[[CheckedImage], str | None]
) -> Iterator[Leak]:
    """Leaks between images that share a value with one of a higher split."""
    groups: dict[str, list[CheckedImage]] = defaultdict(list)
    for image in images:
        if (common := of(image)) is not None:
            groups[common].append(image)
    for group in groups.values():
        first = max(group, key=lambda image: image.split.rank)
        yield from (
            _leak(kind, image, first) for image in group if image.split.rank < first.split.rank
        )


def _near(images: Sequence[CheckedImage], read_inputs: ReadInputs) -> Iterator[Leak]:
    train, validation, test = (
        [image for image in images if image.split is split] for split in Split
    )
    yield from _near_between(validation, test, read_inputs)
    yield from _near_between(train, [*test, *validation], read_inputs)


def _near_between(
    lower: Sequence[CheckedImage], upper: Sequence[CheckedImage], read_inputs: ReadInputs
) -> Iterator[Leak]:
    candidates = list(_candidates(lower, upper))
    found: dict[str, Leak] = {}
    for start in range(0, len(candidates), _PAIRS):
        pairs = candidates[start : start + _PAIRS]
        first = read_inputs([image.sha256 for image, _ in pairs])
        second = read_inputs([other.sha256 for _, other in pairs])
        alike = detail_correlation(first, second) >= MIN_CORRELATION
        for (image, other), is_alike in zip(pairs, alike, strict=True):
            if is_alike:
                found.setdefault(image.sha256, _leak("near", image, other))
    yield from found.values()


def _candidates(
    lower: Sequence[CheckedImage], upper: Sequence[CheckedImage]
) -> Iterator[tuple[CheckedImage, CheckedImage]]:
    """For each of `lower` the nearest of `upper` by their hashes, nearest first."""
    if not lower or not upper:
        return
    below, above = (
        hash_signs([image.fingerprint.perceptual_hash for image in side]) for side in (lower, upper)
    )
    for start in range(0, len(lower), _ROWS):
        for row, column in _nearest(below[start : start + _ROWS], above):
            image, other = lower[start + row], upper[column]
            if image.fingerprint.input_sha256 != other.fingerprint.input_sha256:
                yield image, other


def _nearest(below: Signs, above: Signs) -> list[tuple[int, int]]:
    """Return indices of pairs within MAX_DISTANCE, the nearest few of each row of `below`.

    Hardly any row has one, so only those that do are sorted.
    """
    found: list[tuple[int, float, int]] = []
    for start in range(0, len(above), _COLUMNS):
        distances = (HASH_BITS - below @ above[start : start + _COLUMNS].T) / 2
        for row in np.flatnonzero(distances.min(axis=1) <= MAX_DISTANCE):
            few = np.argsort(distances[row], kind="stable")[:_NEAREST]
            found += [(int(row), float(distances[row, one]), start + int(one)) for one in few]
    return [
        (row, column)
        for row, group in groupby(sorted(found), key=itemgetter(0))
        for _, distance, column in list(group)[:_NEAREST]
        if distance <= MAX_DISTANCE
    ]


def _leak(kind: Kind, image: CheckedImage, other: CheckedImage) -> Leak:
    return Leak(kind, image.sha256, image.split, other.sha256, other.split)


def _of_kind(leaks: Iterable[Leak], kind: Kind) -> dict[str, Any]:
    chosen = [leak for leak in leaks if leak.kind == kind]
    examples = [[leak.excluded[:12], leak.other[:12]] for leak in chosen[:EXAMPLES]]
    return {"images": len(chosen), "examples": examples}


def _sentences(leaks: Iterable[Leak]) -> list[str]:
    counts = Counter((leak.kind, leak.split, leak.other_split) for leak in leaks)
    return [
        f"{plural(number, 'image')} of {split} excluded: {_SAME[kind].format(other=other)}."
        for (kind, split, other), number in counts.items()
    ]
