"""What the study page shows of an image's labels, and offers to a reader."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask
from sqlalchemy.orm import Session

from models.learning.labels import latest_labels
from models.people.users import RANK
from models.tables.learning import Label, LabelValue, Source
from web.http.filters import when

WORDS = {
    LabelValue.PNEUMONIA: "Pneumonia",
    LabelValue.NORMAL: "Normal",
    LabelValue.UNUSABLE: "Unusable",
}
MARKS = {LabelValue.PNEUMONIA: "▲", LabelValue.NORMAL: "○", LabelValue.UNUSABLE: "×"}


@dataclass(frozen=True)
class Choice:
    """One key, one label."""

    key: str
    label: LabelValue
    words: str


def choices(finding: str | None) -> list[Choice]:
    """Confirming and correcting are relative to what the network found, where it found anything."""
    unusable = Choice("u", LabelValue.UNUSABLE, "Unusable")
    if finding is None:
        return [
            Choice("p", LabelValue.PNEUMONIA, "Pneumonia"),
            Choice("n", LabelValue.NORMAL, "Normal"),
            unusable,
        ]
    found = LabelValue(finding)
    other = LabelValue.NORMAL if found == LabelValue.PNEUMONIA else LabelValue.PNEUMONIA
    return [
        Choice("c", found, f"Confirm: {found.value}"),
        Choice("x", other, f"Correct: {other.value}"),
        unusable,
    ]


def labels_said(session: Session, sha256: str) -> list[Label]:
    """Each reader's latest, the one that counts first."""
    return latest_labels(session, [sha256])[sha256]


def conflict_words(said: Sequence[Label]) -> str | None:
    """One sentence where readers disagree; `said` as `labels_said` returns it."""
    readers = [label for label in said if label.role is not None]
    if len({label.value for label in readers}) < 2:
        return None
    counts, other = readers[0], next(one for one in readers if one.value != readers[0].value)
    assert counts.role is not None
    assert other.role is not None
    is_higher = RANK[counts.role] > RANK[other.role]
    why = "the role is the higher one" if is_higher else "it is the later one"
    return f"Readers disagree. What {counts.reader} says counts: {why}."


def label_words(value: LabelValue) -> str:
    return WORDS[value]


def label_mark(value: LabelValue) -> str:
    return MARKS[value]


def reader_words(label: Label) -> str:
    """Who, when, from where."""
    who = f"{label.reader}, {label.role.value}" if label.role else f"imported, {label.reader}"
    table = f" · by a table of {label.user.name}" if label.source == Source.CSV else ""
    return f"{who} · {when(label.read_at)}{table}"


def by_reader(said: Sequence[Label], name: str) -> LabelValue | None:
    return next((label.value for label in said if label.reader == name), None)


def install_label_words(app: Flask) -> None:
    for function in (label_words, label_mark, reader_words, by_reader):
        app.add_template_filter(function)
