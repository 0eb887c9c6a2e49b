"""Nights and model versions in words, for templates."""

from datetime import timedelta

from models.learning.deployments import ListedVersion
from models.learning.nights import STAGES
from models.tables.learning import Answer, Night, Outcome

OUTCOMES = {
    Outcome.NOTHING: "nothing to learn",
    Outcome.REFUSED: "refused by the gate",
    Outcome.PROPOSED: "proposed",
    Outcome.PROMOTED: "promoted automatically",
    Outcome.CANCELLED: "cancelled",
    Outcome.FAILED: "failed",
}
UNANSWERED = "waiting for an admin's decision"
ANSWERS = {Answer.PROMOTED: "promoted by an admin", Answer.REJECTED: "rejected by an admin"}


def night_words(night: Night) -> str:
    """Its stage, or its outcome and an admin's decision."""
    if night.outcome is None:
        return "stopping" if night.is_cancelled else STAGES.get(night.stage, night.stage)
    words = OUTCOMES[night.outcome]
    if night.answer is not None:
        return f"{words}, {ANSWERS[night.answer]}"
    return f"{words}, {UNANSWERED}" if night.outcome is Outcome.PROPOSED else words


def night_mark(night: Night) -> str:
    """The CSS class of its words."""
    if night.answer is not None:
        return night.answer.value
    return night.outcome.value if night.outcome else "open"


def night_seconds(night: Night) -> float | None:
    if night.started_at is None or night.finished_at is None:
        return None
    return max(night.finished_at - night.started_at, timedelta()).total_seconds()


def version_status(listed: ListedVersion) -> str:
    """The state of a version in a word or two."""
    if listed.deployments:
        return "live" if listed.is_live else "was live"
    night = listed.night
    if night is None:
        return "never live"
    if night.outcome is None:
        return "being compared"
    if night.answer is Answer.REJECTED:
        return "rejected"
    if night.outcome in (Outcome.REFUSED, Outcome.PROPOSED):
        return OUTCOMES[night.outcome]
    return "never compared"


def sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    capital = words[:1].upper() + words[1:]
    return capital if capital.endswith((".", "!", "?")) else f"{capital}."
