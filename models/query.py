"""Pages, batches, and statements that several tables need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Row, Select, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models.base import Base

T = TypeVar("T")
U = TypeVar("U")
Ts = TypeVarTuple("Ts")
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

    def of(self, items: list[U]) -> "Page[U]":
        return Page(items, self.page, self.page_size, self.total)


def read_page(session: Session, rows: Select[T], *, page: int, page_size: int) -> Page[T]:
    """Of rows of one column."""
    found = read_row_page(session, rows, page=page, page_size=page_size)
    return found.of([item for (item,) in found.items])


def read_row_page(
    session: Session, rows: Select[*Ts], *, page: int, page_size: int, total: int | None = None
) -> Page[Row[*Ts]]:
    """total: of all pages, where counting the rows of another query is faster."""
    if total is None:
        counted = rows.with_only_columns(func.count(), maintain_column_froms=True)
        total = session.scalar(counted.order_by(None)) or 0
    found = session.execute(rows.limit(page_size).offset((page - 1) * page_size)).all()
    return Page(list(found), page, page_size, total)


def count_rows(session: Session, table: type[Base], *which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*which)) or 0


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
