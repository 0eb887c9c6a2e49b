"""What the API says of nights."""

from datetime import datetime
from typing import Any

from models.tables.learning import Answer, Outcome
from web.schemas import Out


class NightOut(Out):
    """due_at: none where a person asked for it, whom `asked_by` names.

    share: of the training, in [0, 1]. decision: the gate's numbers. words: how it stands, in short.
    """

    id: int
    due_at: datetime | None
    asked_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    is_open: bool
    is_cancelled: bool
    stage: str
    share: float
    progress: str
    words: str
    new_labels: int | None
    snapshot_id: int | None
    production: str | None
    candidate: str | None
    outcome: Outcome | None
    reason: str | None
    decision: dict[str, Any] | None
    drift: dict[str, Any] | None
    answer: Answer | None
    answered_by: str | None
    answered_at: datetime | None


class NightsOut(Out):
    nights: list[NightOut]
    next: int | None
    next_due: datetime | None
