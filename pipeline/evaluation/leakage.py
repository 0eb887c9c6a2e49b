"""Images that would let a network be tested on what it has learned.

A leak joins two images in different splits: of one patient, of one study, with equal pixels, or
with nearly equal ones. The copy on the training side is kept out: test goes before validation,
validation before train.

How near is near was measured on the public training set (5,232 children's films). 300 of them as
JPEG of quality 50, at half the size, brighter or darker by a tenth, with gamma 0.75, contrast 1.3
or noise: distances of at most 27 of 256 bits, correlations of at least 0.940. All 13.7 million
pairs of different patients: none nearer than 44 bits; 485 within 64, whose correlations are at
most 0.762. With the two limits below every such copy is found and no two patients are taken for
one; so are originals at full resolution (5 bits, 0.999). Copies that were turned by a degree or
cut by 2 % at each side are mostly not found.
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
    "patient": "their patient is also in {other}",
    "study": "their study is also in {other}",
    "pixels": "the same picture is also in {other}",
    "near": "nearly the same picture is also in {other}",
}


@dataclass(frozen=True)
class Film:
    """One image as the check sees it. study_hash: None where the file states no study."""

    sha256: str
    split: Split
    patient_hash: str
    study_hash: str | None
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Leak:
    """Why an image is kept out: another image, on a side that goes before."""

    kind: Kind
    kept_out: str  # sha256
    split: Split
    other: str  # sha256
    other_split: Split


def find_leaks(films: Sequence[Film], *, read_inputs: ReadInputs) -> list[Leak]:
    """At most one leak of each kind for each image, in a fixed order.

    read_inputs: returns the network inputs of these sha256, uint8 (n, 224, 224); asked only for
    pairs that look alike, 64 pairs at a time.
    """
    ordered = sorted(films, key=lambda film: film.sha256)
    equal = list(_shared(ordered, "pixels", lambda film: film.fingerprint.input_sha256))
    copies = {leak.kept_out for leak in equal}
    return [
        *_shared(ordered, "patient", lambda film: film.patient_hash),
        *_shared(ordered, "study", lambda film: film.study_hash),
        *equal,
        *_near([film for film in ordered if film.sha256 not in copies], read_inputs),
    ]


def leak_report(leaks: Sequence[Leak]) -> dict[str, Any]:
    """For JSON: how many images are kept out, counts and examples by kind, and sentences."""
    kept_out = {leak.kept_out: leak.split for leak in leaks}
    return {
        "images": len(kept_out),
        "splits": dict(Counter(kept_out.values())),
        "kinds": {kind: _of_kind(leaks, kind) for kind in get_args(Kind)},
        "words": _sentences(leaks),
    }


def _shared(films: Iterable[Film], kind: Kind, of: Callable[[Film], str | None]) -> Iterator[Leak]:
    """Those that have something in common with a film on a side that goes before."""
    groups: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        if (common := of(film)) is not None:
            groups[common].append(film)
    for group in groups.values():
        first = max(group, key=lambda film: film.split.rank)
        yield from (
            _leak(kind, film, first) for film in group if film.split.rank < first.split.rank
        )


def _near(films: Sequence[Film], read_inputs: ReadInputs) -> Iterator[Leak]:
    test = [film for film in films if film.split is Split.TEST]
    validation = [film for film in films if film.split is Split.VALIDATION]
    train = [film for film in films if film.split is Split.TRAIN]
    yield from _near_between(validation, test, read_inputs)
    yield from _near_between(train, [*test, *validation], read_inputs)


def _near_between(
    lower: Sequence[Film], upper: Sequence[Film], read_inputs: ReadInputs
) -> Iterator[Leak]:
    candidates = list(_candidates(lower, upper))
    found: dict[str, Leak] = {}
    for start in range(0, len(candidates), _PAIRS):
        pairs = candidates[start : start + _PAIRS]
        first = read_inputs([film.sha256 for film, _ in pairs])
        second = read_inputs([other.sha256 for _, other in pairs])
        alike = detail_correlation(first, second) >= MIN_CORRELATION
        for (film, other), is_alike in zip(pairs, alike, strict=True):
            if is_alike:
                found.setdefault(film.sha256, _leak("near", film, other))
    yield from found.values()


def _candidates(lower: Sequence[Film], upper: Sequence[Film]) -> Iterator[tuple[Film, Film]]:
    """For each of `lower` the nearest of `upper` by their hashes, the nearest first."""
    if not lower or not upper:
        return
    below, above = (
        hash_signs([film.fingerprint.perceptual_hash for film in side]) for side in (lower, upper)
    )
    for start in range(0, len(lower), _ROWS):
        for row, column in _nearest(below[start : start + _ROWS], above):
            film, other = lower[start + row], upper[column]
            if film.fingerprint.input_sha256 != other.fingerprint.input_sha256:
                yield film, other


def _nearest(below: Signs, above: Signs) -> list[tuple[int, int]]:
    """Places in `below` and in `above` of pairs within MAX_DISTANCE, the nearest few of each row.

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


def _leak(kind: Kind, film: Film, other: Film) -> Leak:
    return Leak(kind, film.sha256, film.split, other.sha256, other.split)


def _of_kind(leaks: Iterable[Leak], kind: Kind) -> dict[str, Any]:
    chosen = [leak for leak in leaks if leak.kind == kind]
    examples = [[leak.kept_out[:12], leak.other[:12]] for leak in chosen[:EXAMPLES]]
    return {"images": len(chosen), "examples": examples}


def _sentences(leaks: Iterable[Leak]) -> list[str]:
    counts = Counter((leak.kind, leak.split, leak.other_split) for leak in leaks)
    return [
        f"{plural(number, 'image')} of {split} kept out: {_SAME[kind].format(other=other)}."
        for (kind, split, other), number in counts.items()
    ]
