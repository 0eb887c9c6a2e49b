"""Images with their labels, one after the other: what they are, or why there is none."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Labelled:
    """label: 0 normal, 1 pneumonia."""

    file: str
    path: Path
    label: int
    patient: str


@dataclass(frozen=True)
class Refused:
    """reason: a clause."""

    file: str
    reason: str


class LabelledSource(Protocol):
    """Iterate as often as needed. `left_out` counts, by label, what the last iteration left out."""

    name: str
    notes: tuple[str, ...]
    left_out: Counter[str]

    def count(self) -> int: ...

    def __iter__(self) -> Iterator[Labelled | Refused]: ...
