"""Pages, batches, and statements that several tables need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models.base import Base

T = TypeVar("T")
VALUES_A_QUERY = 500
ROWS_A_FETCH = 5000  # where a result of any length is streamed


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
    """Databases limit how many values one query may name."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that collide with a unique constraint are left as they are."""
    if not rows:
        return
    target = table.__table__
    assert isinstance(target, Table)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(target).on_conflict_do_nothing(), rows)


def update_rows(
    session: Session, table: type[Any], *which: ColumnElement[bool], **values: Any
) -> int:
    """How many rows were changed. Objects that the session has loaded keep their old values."""
    changed = session.execute(
        update(table).where(*which).values(**values).execution_options(synchronize_session=False)
    )
    return changed.rowcount  # type: ignore[attr-defined, no-any-return]
