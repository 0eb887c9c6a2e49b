"""When the nightly job is due: at a local time of day, once a date, whatever the clocks do."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.nights import newest_due, schedule_night
from models.settings import Settings
from models.tables import ModelAlias


def last_due(moment: datetime, *, at: str, time_zone: str) -> datetime:
    """The newest time not after `moment` at which a night was due."""
    return max(due for due in _around(moment, at, time_zone) if due <= moment)


def next_due(moment: datetime, settings: Settings) -> datetime | None:
    """None where nights are switched off."""
    if not settings.night_at:
        return None
    around = _around(moment, settings.night_at, settings.time_zone)
    return min(due for due in around if due > moment)


def begin_due_night(session: Session, settings: Settings, *, moment: datetime) -> bool:
    """Whether one was begun. However many were missed, one night makes up for them."""
    if not settings.night_at:
        return False
    due = last_due(moment, at=settings.night_at, time_zone=settings.time_zone)
    before = newest_due(session) or session.scalar(select(func.min(ModelAlias.created_at)))
    if before is None or due <= before:  # a new installation waits for its first night
        return False
    return schedule_night(session, due_at=due)


def _around(moment: datetime, at: str, time_zone: str) -> list[datetime]:
    """A time that the clocks skip falls an hour later; of one that comes twice the first counts."""
    here = ZoneInfo(time_zone) if time_zone else None
    today = moment.astimezone(here).date()
    days = (today + timedelta(days=shift) for shift in (-2, -1, 0, 1, 2))
    return [_local(day, time.fromisoformat(at), here) for day in days]


def _local(day: date, at: time, here: ZoneInfo | None) -> datetime:
    naive = datetime.combine(day, at)
    local = naive.replace(tzinfo=here) if here else naive
    return local.astimezone(UTC)  # times of one zone that the clocks skip or repeat compare oddly
