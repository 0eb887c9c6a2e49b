"""What the API says and accepts of model versions."""

from datetime import datetime
from typing import Any

from pydantic import Field

from models.tables.intake import Move
from web.schemas import In, Out


class LivePeriodOut(Out):
    """until: none while it lasts. by: none where nobody was asked."""

    version: str
    since: datetime
    until: datetime | None
    by: str | None
    move: Move
    reason: str


class VersionOut(Out):
    """night_id: the night that made it. status: in words."""

    name: str
    created_at: datetime
    is_production: bool
    night_id: int | None
    status: str
    card: dict[str, Any]


class VersionsOut(Out):
    """live: the version that answers. back: where a roll-back would lead. history: newest first."""

    model_versions: list[VersionOut]
    live: str | None
    back: str | None
    history: list[LivePeriodOut]


class Promotion(In):
    """live: what you take for live; a promotion is refused where something else is.

    despite_refusal: live whatever the gate says.
    """

    live: str | None = None
    reason: str = Field("", max_length=300)
    despite_refusal: bool = False


class RollBack(In):
    """live: what is rolled back. Said twice, it is refused instead of done twice."""

    live: str
    reason: str = Field("", max_length=300)


class MovedOut(Out):
    """live: the version that answers now. back: where a roll-back would lead."""

    live: str
    back: str | None


class RereadingOut(Out):
    """done, total: earlier images. is_waiting: another version or operating point is in use."""

    model_version: str
    operating_point: str
    created_at: datetime
    finished_at: datetime | None
    is_waiting: bool
    done: int
    total: int


class RereadingsOut(Out):
    rereadings: list[RereadingOut]
