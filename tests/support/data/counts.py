"""Kept counts against counted rows."""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.counts import kept_counts
from models.tables.intake import Audit, Image, Upload
from models.tables.learning import ValidLabel
from models.tables.worklist import StudySummary


def check_counts(session: Session) -> None:
    """Of every topic."""
    session.flush()
    images = session.execute(select(Image.job_id, Image.state, Image.reason_code))
    uploads = session.execute(select(Upload.job_id, Upload.arrived_at, Upload.given_up_at))
    counted = {
        "images": Counter(
            (job, f"{state}:{code}" if code else state) for job, state, code in images
        ),
        "uploads": Counter(
            (job, "arrived" if arrived else "given_up" if given_up else "missing")
            for job, arrived, given_up in uploads
        ),
        "audit": Counter(("", action) for action in session.scalars(select(Audit.action))),
        "studies": Counter(
            (scope, finding)
            for scope, finding in session.execute(select(StudySummary.scope, StudySummary.finding))
        ),
    }
    counted["labels"] = Counter(
        (str(dataset_id or ""), f"{value}:conflict" if is_conflict else value)
        for value, is_conflict, dataset_id in session.execute(
            select(ValidLabel.value, ValidLabel.is_conflict, ValidLabel.dataset_id)
        )
    )
    assert {topic: kept_counts(session, topic) for topic in counted} == counted
