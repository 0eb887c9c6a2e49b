"""Counts that are kept: triggers change them in the transaction that changes the counted rows."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from models.tables.intake import State
from models.tables.worklist import KeptCount

Counts = dict[tuple[str, str], int]


class ImageCount(NamedTuple):
    state: State
    reason_code: str | None


def kept_counts(session: Session, topic: str, *, scopes: Sequence[str] | None = None) -> Counts:
    """By scope and value, of some scopes or all; without what counts nothing."""
    rows = (
        select(KeptCount.scope, KeptCount.value, func.sum(KeptCount.n))
        .where(KeptCount.topic == topic)
        .group_by(KeptCount.scope, KeptCount.value)
    )
    if scopes is not None:
        rows = rows.where(KeptCount.scope.in_(scopes))
    return {(scope, value): int(n) for scope, value, n in session.execute(rows) if n}


def count_by_value(session: Session, topic: str) -> Counter[str]:
    """Of all scopes together."""
    n = func.sum(KeptCount.n)
    rows = select(KeptCount.value, n).where(KeptCount.topic == topic).group_by(KeptCount.value)
    return Counter({value: int(n) for value, n in session.execute(rows) if n})


def count_images(session: Session) -> Counter[ImageCount]:
    """By state and reason."""
    return Counter(
        {image_count(value): n for value, n in count_by_value(session, "images").items()}
    )


def images_of_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, Counter[State]]:
    found: dict[str, Counter[State]] = {job_id: Counter() for job_id in job_ids}
    for (job_id, value), n in kept_counts(session, "images", scopes=job_ids).items():
        found[job_id][image_count(value).state] += n
    return found


def image_count(value: str) -> ImageCount:
    state, _, code = value.partition(":")
    return ImageCount(State(state), code or None)


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
