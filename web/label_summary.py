"""How many labels there are, and how many the next retraining waits for."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from models.base import now
from models.config.settings import Settings
from models.learning.label_lists import label_counts
from models.learning.nights import next_due
from models.learning.snapshots import new_label_count
from web.schemas_labels import LabelSummaryOut


def label_summary(session: Session, settings: Settings) -> LabelSummaryOut:
    today, this_week = _beginnings(settings.time_zone)
    counts = label_counts(session, today=today, this_week=this_week)
    return LabelSummaryOut.model_validate(
        vars(counts)
        | {
            "new": new_label_count(session),
            "wanted": settings.night_min_labels,
            "next_night": next_due(now(), settings),
        }
    )


def _beginnings(time_zone: str) -> tuple[datetime, datetime]:
    """Of today and of this week, which begins on Monday, where the installation stands."""
    here = now().astimezone(ZoneInfo(time_zone) if time_zone else None)
    today = here.replace(hour=0, minute=0, second=0, microsecond=0)
    return today, today - timedelta(days=today.weekday())
