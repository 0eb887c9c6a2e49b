"""One page of a long list."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    page: int  # counted from 1
    page_size: int
    total: int

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page * self.page_size < self.total else None
