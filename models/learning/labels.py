"""Labels of blobs (files' bytes, by SHA-256). Rows are only ever added.

The valid label of a blob: each reader's latest row counts; of these the one of the highest
role, then the latest. If readers' latest rows differ there is a conflict. Labels of an imported
data set have no role: any reader overrules them, and they take no part in conflicts.
"""

from bisect import insort
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, delete, func, insert, select, text
from sqlalchemy.orm import Session, joinedload

from models.base import now
from models.people.users import RANK
from models.query import ROWS_A_FETCH, batches
from models.tables.intake import Image
from models.tables.learning import ImportedImage, Label, LabelValue, Source, ValidLabel
from models.tables.people import Role

Matches = dict[str, set[str]]  # SHA-256s by what was asked for


@dataclass(frozen=True)
class NewLabel:
    """reader, role: who judged; user_id: who submitted it. read_at None: now."""

    sha256: str
    value: LabelValue
    reader: str
    role: Role | None
    user_id: int
    source: Source
    patient_hash: str | None = None
    dataset_id: int | None = None
    read_at: datetime | None = None


def add_labels(session: Session, rows: Sequence[NewLabel], *, insist: bool = False) -> int:
    """Return how many were added; repeating the reader's latest label adds nothing.

    insist: add it if another reader has labelled since, so that it is the latest again.
    """
    # Two sessions that add the same label would both find it missing. SQLite has one writer.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE label IN SHARE ROW EXCLUSIVE MODE"))
    added = sum(_add(session, some, insist=insist) for some in batches(rows))
    for some in batches(sorted({row.sha256 for row in rows})):
        _rebuild(session, Label.sha256.in_(some), ValidLabel.sha256.in_(some))
    return added


def rebuild_valid_labels(session: Session) -> None:
    """For a database to which nobody else writes."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("ANALYZE label, imported_image"))  # as for summaries of studies
    _rebuild(session, Label.id.is_not(None), ValidLabel.label_id.is_not(None))


def _rebuild(
    session: Session, of_labels: ColumnElement[bool], of_valid: ColumnElement[bool]
) -> None:
    session.execute(delete(ValidLabel).where(of_valid).execution_options(synchronize_session=False))
    right = compute_valid(of_labels).subquery()
    first = select(func.min(ImportedImage.dataset_id)).where(ImportedImage.sha256 == right.c.sha256)
    columns = right.c.keys()
    rows = select(*right.c, first.scalar_subquery())
    session.execute(insert(ValidLabel).from_select([*columns, "dataset_id"], rows))


def valid_labels(session: Session) -> dict[str, ValidLabel]:
    """By SHA-256, of all labelled blobs."""
    rows = select(ValidLabel).execution_options(populate_existing=True)
    return {label.sha256: label for label in session.scalars(rows)}


def latest_labels(session: Session, sha256s: Collection[str]) -> dict[str, list[Label]]:
    """Each reader's latest label of these blobs; the valid one comes first in each list."""
    found: dict[str, list[Label]] = {sha256: [] for sha256 in sha256s}
    for some in batches(sorted(found)):
        latest = _latest(Label.sha256.in_(some))
        rows = (
            select(Label)
            .join(latest, latest.c.id == Label.id)
            .where(latest.c.number == 1)
            .options(joinedload(Label.user))
            .order_by(_rank(Label.role.expression).desc(), Label.read_at.desc(), Label.id.desc())
        )
        for label in session.scalars(rows):
            found[label.sha256].append(label)
    return found


def compute_valid(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Columns of `valid_label`, without the imported set, from labels of some blobs, else all."""
    latest, named = _latest(*which), _named_patients(*which)
    readers_value = case((latest.c.role.is_not(None), latest.c.value))
    weight = (_rank(latest.c.role).desc(), latest.c.read_at.desc(), latest.c.id.desc())
    of_blob = latest.c.sha256
    ranked = (
        select(
            latest,
            func.row_number().over(partition_by=of_blob, order_by=weight).label("weight"),
            func.min(readers_value).over(partition_by=of_blob).label("least"),
            func.max(readers_value).over(partition_by=of_blob).label("greatest"),
        )
        .where(latest.c.number == 1)
        .subquery("ranked")
    )
    return (
        select(
            ranked.c.sha256,
            ranked.c.value,
            ranked.c.id.label("label_id"),
            named.c.patient_hash,
            func.coalesce(ranked.c.least != ranked.c.greatest, False).label("is_conflict"),
            ranked.c.reader,
            ranked.c.role,
            ranked.c.read_at,
        )
        .outerjoin(named, (named.c.sha256 == ranked.c.sha256) & (named.c.number == 1))
        .where(ranked.c.weight == 1)
    )


def _add(session: Session, rows: Sequence[NewLabel], *, insist: bool) -> int:
    history = _history(session, {row.sha256 for row in rows})
    added = []
    for row in rows:
        said = history.setdefault(row.sha256, [])
        row = row if row.read_at else replace(row, read_at=_moment_after(said))
        if not _is_said(row, said) or (insist and said[-1].reader != row.reader):
            added.append(row)
            insort(said, row, key=_moment)
    if added:
        session.execute(insert(Label), [{**vars(row), "created_at": now()} for row in added])
    return len(added)


def _history(session: Session, sha256s: Collection[str]) -> dict[str, list[NewLabel]]:
    """All labels of these blobs so far, the latest last."""
    columns = [getattr(Label, name.name) for name in fields(NewLabel)]
    rows = select(*columns).where(Label.sha256.in_(sha256s)).order_by(Label.read_at, Label.id)
    history: dict[str, list[NewLabel]] = {}
    for row in session.execute(rows):
        history.setdefault(row.sha256, []).append(NewLabel(*row))
    return history


def _is_said(row: NewLabel, history: Sequence[NewLabel]) -> bool:
    """Whether it repeats its reader's latest label at that time."""
    mine = (said for said in reversed(history) if said.reader == row.reader)
    last = next((said for said in mine if _moment(said) <= _moment(row)), None)
    return (
        last is not None
        and last.value == row.value
        and row.patient_hash in (None, last.patient_hash)
        and _weight(row.role) <= _weight(last.role)
    )


def _moment(row: NewLabel) -> datetime:
    assert row.read_at is not None
    return row.read_at


def _moment_after(history: Sequence[NewLabel]) -> datetime:
    """Now, or the latest label's time, if the clock was set back since: corrections are valid."""
    return max([now(), *map(_moment, history[-1:])])


def _weight(role: Role | None) -> int:
    return -1 if role is None else RANK[role]


def _latest(*which: ColumnElement[bool]) -> Subquery:
    """Labels, all or some, numbered among its reader's of the same blob: 1 is the latest."""
    columns = (Label.id, Label.sha256, Label.value, Label.reader, Label.role, Label.read_at)
    number = func.row_number().over(
        partition_by=(Label.sha256, Label.reader), order_by=(Label.read_at.desc(), Label.id.desc())
    )
    return select(*columns, number.label("number")).where(*which).subquery("latest")


def _named_patients(*which: ColumnElement[bool]) -> Subquery:
    number = func.row_number().over(
        partition_by=Label.sha256, order_by=(Label.read_at.desc(), Label.id.desc())
    )
    rows = select(Label.sha256, Label.patient_hash, number.label("number"))
    return rows.where(Label.patient_hash.is_not(None), *which).subquery("named")


def _rank(role: ColumnElement[Any]) -> ColumnElement[int]:
    return case(*((role == one, _weight(one)) for one in Role), else_=_weight(None))


def find_by_sha256(session: Session, sha256s: Collection[str]) -> Matches:
    found: Matches = {}
    for some in batches(sorted(sha256s)):
        for column in (Image.sha256, ImportedImage.sha256):
            rows = session.scalars(select(column).where(column.in_(some)).distinct())
            found.update((sha256, {sha256}) for sha256 in rows)
    return found


def find_by_image_id(session: Session, image_ids: Collection[int]) -> dict[int, str]:
    return dict(_find(session, Image.id, image_ids))


def find_by_sop_uid(session: Session, uids: Collection[str]) -> Matches:
    """uids: pseudonymous SOP Instance UIDs."""
    found: Matches = {}
    for uid, sha256 in _find(session, Image.sop_instance_uid, uids):
        found.setdefault(uid, set()).add(sha256)
    return found


def _find(session: Session, column: Any, values: Collection[Any]) -> Iterator[tuple[Any, str]]:
    for some in batches(sorted(values)):
        rows = select(column, Image.sha256).where(column.in_(some), _has_sha256)
        yield from session.execute(rows)


def find_by_file(session: Session, files: Collection[str]) -> Matches:
    """Match whole paths as uploaded or imported; else ends of paths, from a folder on.

    Reads all names once, however many are asked for: there is no index on ends of paths.
    """
    by_last_part: dict[str, list[str]] = {}
    for file in files:
        by_last_part.setdefault(file.rpartition("/")[2], []).append(file)
    whole: Matches = {}
    ends: Matches = {}
    for file, sha256 in _all_files(session) if files else ():
        for asked in by_last_part.get(file.rpartition("/")[2], ()):
            if file == asked:
                whole.setdefault(asked, set()).add(sha256)
            elif file.endswith(f"/{asked}"):
                ends.setdefault(asked, set()).add(sha256)
    return ends | whole


def _all_files(session: Session) -> Iterator[tuple[str, str]]:
    queries: tuple[Select[str, str], ...] = (
        select(Image.file, Image.sha256).where(_has_sha256),
        select(ImportedImage.file, ImportedImage.sha256),
    )
    for query in queries:
        yield from session.execute(query.execution_options(yield_per=ROWS_A_FETCH))


# A file that was refused before it was received completely has none.
_has_sha256 = Image.sha256 != ""
