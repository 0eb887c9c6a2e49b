"""Long lists, a piece at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
VALUES_A_QUERY = 500
ROWS_A_FETCH = 5000  # where an answer of any length is read piece by piece


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    page: int  # counted from 1
    page_size: int
    total: int

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page * self.page_size < self.total else None


def batches(values: Sequence[T], size: int = VALUES_A_QUERY) -> Iterator[Sequence[T]]:
    """By default as many as one query should name: databases limit it."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
