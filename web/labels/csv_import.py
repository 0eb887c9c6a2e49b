"""Import a CSV of labels: find the images of its lines and add the new labels.

text -> rows -> images (one query over all) -> labels, some at a time
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.audit.log import record
from models.context import AppContext
from models.learning.labels import (
    Matches,
    NewLabel,
    add_labels,
    find_by_file,
    find_by_sha256,
    find_by_sop_uid,
)
from models.people.users import RANK, normal_name
from models.query import batches
from models.tables.learning import Source
from models.tables.people import Role, User
from pipeline.files.copies import describe_contradictions, describe_copies
from pipeline.pseudonym import patient_pseudonym, pseudonymous_uid
from web.auth.sessions import Person
from web.labels.csv_file import BadRow, LabelRow, LabelTable, read_label_table
from web.labels.schemas import TableTakenOut

ROWS_A_TRANSACTION = 1000
Rows = list[list[LabelRow]]


@dataclass(frozen=True)
class Known:
    """Database content that the table refers to. uids: keyed by pseudonymous UID."""

    hashes: Matches
    uids: Matches
    files: Matches
    roles: dict[str, Role]


def take_label_table(context: AppContext, content: bytes, *, sender: Person) -> TableTakenOut:
    """Raises TableError. Refused rows are listed as problems, all others are imported."""
    table = read_label_table(content, time_zone=context.settings.time_zone)
    key = context.secrets.identity_key
    with context.sessions() as session:
        known = _look_up(session, table, key=key)
    judged = list(_judged(table, known, sender=sender, key=key))
    copies, contradictions = _repeated(judged)
    excluded = {row.line for rows in contradictions for row in rows}
    table.problems += [
        BadRow(line, "another row has another label for the same image") for line in excluded
    ]
    labels = [label for row, label in judged if row.line not in excluded]
    added = 0
    for some in batches(labels, ROWS_A_TRANSACTION):
        with context.sessions.begin() as session:
            added += add_labels(session, some)
    table.problems.sort(key=lambda problem: problem.line)
    with context.sessions.begin() as session:
        target = f"{len(labels)} rows, {len(table.problems)} refused"
        record(session, user_id=sender.id, action="labels.sent", target=target)
    return TableTakenOut(
        added=added,
        unchanged=len(labels) - added,
        problems=table.problems,
        ignored_columns=table.ignored_columns,
        encoding=table.encoding,
        notes=[
            *filter(None, [table.note]),
            *describe_copies(_named(copies)),
            *describe_contradictions(_named(contradictions)),
        ],
    )


def _look_up(session: Session, table: LabelTable, *, key: bytes) -> Known:
    rows = table.rows
    return Known(
        hashes=find_by_sha256(session, {row.sha256 for row in rows if row.sha256}),
        uids=find_by_sop_uid(session, {pseudonymous_uid(key, row.uid) for row in rows if row.uid}),
        files=find_by_file(session, {name for row in rows for name in row.files}),
        roles=dict(session.execute(select(User.name, User.role)).all()),
    )


def _judged(
    table: LabelTable, known: Known, *, sender: Person, key: bytes
) -> Iterator[tuple[LabelRow, NewLabel]]:
    """Rows that are refused are added to the table's problems."""
    for row in table.rows:
        try:
            yield row, _label(row, known, sender=sender, key=key)
        except ValueError as error:
            table.problems.append(BadRow(row.line, str(error)))


def _label(row: LabelRow, known: Known, *, sender: Person, key: bytes) -> NewLabel:
    # The user's stored name: `Anna` must not count as another reader than `anna`.
    name = normal_name(row.reader)
    reader = name if name in known.roles else row.reader
    return NewLabel(
        sha256=_sha256(row, known, key=key),
        value=row.value,
        reader=reader or sender.name,
        role=_role(reader, known, sender),
        user_id=sender.id,
        source=Source.CSV,
        patient_hash=patient_pseudonym(key, row.patient) if row.patient else None,
        read_at=row.read_at,
    )


def _sha256(row: LabelRow, known: Known, *, key: bytes) -> str:
    """All columns that name an image must name the same one."""
    found: list[set[str]] = []
    for name, given, matches in (
        ("sha256", row.sha256, known.hashes),
        ("SOP Instance UID", row.uid and pseudonymous_uid(key, row.uid), known.uids),
        ("file name", _known_name(row, known), known.files),
    ):
        if given:
            found.append(matches.get(given, set()))
            if not found[-1]:
                raise ValueError(f"no image has this {name}")
    common = set.intersection(*found)
    if not common:
        raise ValueError("the columns name different images")
    if len(common) > 1:
        raise ValueError(f"{len(common)} images have this name; give the sha256")
    return common.pop()


def _known_name(row: LabelRow, known: Known) -> str:
    """The first of the row's names that an image has, else its first, "" if it has none."""
    return next((name for name in row.files if name in known.files), "".join(row.files[:1]))


def _role(reader: str, known: Known, sender: Person) -> Role:
    """The role that the label gets; it must not exceed the sender's.

    Nor may it be lower than the reader's: it would replace a label of higher weight.
    """
    if not reader:
        return sender.role
    role = known.roles.get(reader, Role.READER)
    if RANK[role] > RANK[sender.role]:
        raise ValueError("only that reader, or a higher role, can submit it")
    return role


def _repeated(judged: Iterable[tuple[LabelRow, NewLabel]]) -> tuple[Rows, Rows]:
    """Return rows that repeat a reader's label of an image, and those that contradict it.

    The later of two labels by one reader is valid, so those of one time must not differ.
    """
    groups: dict[tuple[str, str, datetime | None], list[LabelRow]] = {}
    for row, label in judged:
        groups.setdefault((label.sha256, label.reader, label.read_at), []).append(row)
    copies, contradictions = [], []
    for rows in groups.values():
        if len({row.value for row in rows}) > 1:
            contradictions.append(rows)
        elif len(rows) > 1:
            copies.append(rows)
    return copies, contradictions


def _named(groups: Rows) -> list[list[str]]:
    return [[f"row {row.line}" for row in rows] for rows in groups]
