"""Import a CSV of labels: find the images of its lines and add the new labels.

text -> rows -> images (one query over all) -> labels, some at a time
"""

from collections.abc import Iterator
from dataclasses import dataclass

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
from models.tables.learning import LabelValue, Source
from models.tables.people import Role, User
from pipeline.pseudonym import patient_pseudonym, pseudonymous_uid
from web.auth.sessions import Person
from web.labels.csv_file import BadRow, LabelRow, LabelTable, read_label_table
from web.labels.schemas import TableTakenOut

ROWS_A_TRANSACTION = 1000


@dataclass(frozen=True)
class Known:
    """Database content that the table refers to. uids: keyed by pseudonymous UID."""

    hashes: Matches
    uids: Matches
    files: Matches
    roles: dict[str, Role]


def take_label_table(context: AppContext, content: bytes, *, sender: Person) -> TableTakenOut:
    """Raises NoTableError. Refused rows are listed as problems, all others are imported."""
    table = read_label_table(content, time_zone=context.settings.time_zone)
    key = context.secrets.identity_key
    with context.sessions() as session:
        known = _look_up(session, table, key=key)
    labels = list(_labels(table, known, sender=sender, key=key))
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
    )


def _look_up(session: Session, table: LabelTable, *, key: bytes) -> Known:
    rows = table.rows
    return Known(
        hashes=find_by_sha256(session, {row.sha256 for row in rows if row.sha256}),
        uids=find_by_sop_uid(session, {pseudonymous_uid(key, row.uid) for row in rows if row.uid}),
        files=find_by_file(session, {row.file for row in rows if row.file}),
        roles=dict(session.execute(select(User.name, User.role)).all()),
    )


def _labels(table: LabelTable, known: Known, *, sender: Person, key: bytes) -> Iterator[NewLabel]:
    """Rows that are refused are added to the table's problems."""
    undated: dict[tuple[str, str], tuple[int, LabelValue]] = {}
    for row in table.rows:
        try:
            label = _label(row, known, sender=sender, key=key)
            _check_agreement(row, label, undated)
        except ValueError as error:
            table.problems.append(BadRow(row.line, str(error)))
        else:
            yield label


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
        ("file name", row.file, known.files),
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


def _check_agreement(
    row: LabelRow, label: NewLabel, undated: dict[tuple[str, str], tuple[int, LabelValue]]
) -> None:
    """The later of two labels by one reader is valid, so undated ones must not differ."""
    if label.read_at is None:
        line, value = undated.setdefault((label.sha256, label.reader), (row.line, row.value))
        if value != row.value:
            raise ValueError(f"line {line} has another label for the same image")
