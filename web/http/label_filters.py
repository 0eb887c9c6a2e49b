"""Labels in words, for templates, and the choices that the study page offers to a reader."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.people.users import RANK
from models.tables.learning import Label, LabelValue, Source
from web.http.filters import when


@dataclass(frozen=True)
class Choice:
    """A button: its key on the keyboard, the label it gives, its words."""

    key: str
    label: LabelValue
    words: str


def label_choices(finding: str | None) -> list[Choice]:
    """Confirm or correct the finding; without one, choose the label."""
    if finding is None:
        # The keys are p, n and u.
        return [Choice(label[0], label, label.capitalize()) for label in LabelValue]
    found = LabelValue(finding)
    other = LabelValue.NORMAL if found == LabelValue.PNEUMONIA else LabelValue.PNEUMONIA
    return [
        Choice("c", found, f"Confirm: {found.value}"),
        Choice("x", other, f"Correct: {other.value}"),
        Choice("u", LabelValue.UNUSABLE, "Unusable"),
    ]


def conflict_words(labels: Sequence[Label]) -> str | None:
    """One sentence if readers disagree. labels: each reader's latest, the valid one first."""
    readers = [label for label in labels if label.role is not None]
    if len({label.value for label in readers}) < 2:
        return None
    counts, other = readers[0], next(one for one in readers if one.value != readers[0].value)
    assert counts.role is not None
    assert other.role is not None
    why = "higher role" if RANK[counts.role] > RANK[other.role] else "latest label"
    return f"Readers disagree. The label of {counts.reader} counts ({why})."


def reader_words(label: Label) -> str:
    """Who, when, from where."""
    who = f"{label.reader}, {label.role.value}" if label.role else f"imported, {label.reader}"
    source = f" · CSV of {label.user.name}" if label.source == Source.CSV else ""
    return f"{who} · {when(label.read_at)}{source}"


def by_reader(labels: Sequence[Label], name: str) -> LabelValue | None:
    return next((label.value for label in labels if label.reader == name), None)
