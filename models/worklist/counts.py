"""Counts that are kept: triggers change them in the transaction that changes the counted rows."""

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from models.tables.worklist import KeptCount


def kept_counts(session: Session, topic: str, *, scopes: list[str]) -> dict[tuple[str, str], int]:
    """By scope and value; without what counts nothing."""
    rows = (
        select(KeptCount.scope, KeptCount.value, func.sum(KeptCount.n))
        .where(KeptCount.topic == topic, KeptCount.scope.in_(scopes))
        .group_by(KeptCount.scope, KeptCount.value)
    )
    return {(scope, value): int(n) for scope, value, n in session.execute(rows) if n}


def merge_counts(session: Session) -> None:
    """One row for each count; only makes reading them faster."""
    key = (KeptCount.topic, KeptCount.scope, KeptCount.value)
    several = select(*key).group_by(*key).having((func.count() > 1) | (func.sum(KeptCount.n) == 0))
    for topic, scope, value in session.execute(several).all():
        of_count = (KeptCount.topic == topic, KeptCount.scope == scope, KeptCount.value == value)
        gone = delete(KeptCount).where(*of_count).returning(KeptCount.n)
        merged = sum(session.scalars(gone.execution_options(synchronize_session=False)))
        if merged:
            row = {"topic": topic, "scope": scope, "value": value, "n": merged}
            session.execute(insert(KeptCount).values(**row))
