"""What was lost, according to the database and files after the service has stopped."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.audit.verify import verify
from models.files.garbage import collect_garbage
from models.files.orphans import find_orphans
from models.intake.jobs import job_progress
from models.tables.intake import FINAL_STATES, Image, Job, Prediction, State
from pipeline.errors import RefusalCode
from tests.chaos.answers import wrong_answers
from tests.chaos.files import Sent
from tests.chaos.injector import Injection
from tests.chaos.rig import Rig
from tests.support.data.rows import all_images

LOST_BYTES = (RefusalCode.BYTES_MISSING, RefusalCode.BYTES_DAMAGED)
LATE = re.compile(r"(\d+) late results refused")

Key = tuple[str, str]  # an image's file and SHA-256


@dataclass
class Verdict:
    """facts: lines for people. losses: one line each. by_fault: losses by the newest fault before
    the image ended.
    """

    facts: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    by_fault: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, found: object, losses: Iterable[str] = ()) -> None:
        self.facts.append(f"{what:<26}{found}")
        self.losses += [f"{what}: {loss}" for loss in losses]


def judge(rig: Rig, sent: Sequence[Sent], injections: Sequence[Injection]) -> Verdict:
    # As the hourly tidy does, without its grace period.
    collect_garbage(rig.sessions, rig.store, lease_s=0, age_s=0)
    verdict = Verdict()
    with rig.sessions() as session:
        images = all_images(session)
        rows = {(image.file, image.sha256): image for image in images}
        states = sorted(Counter(row.state for row in images).items())
        doubled = Counter((row.job_id, row.file, row.sha256) for row in images)
        twice = [f"{key[2][:8]}: {count} rows" for key, count in doubled.items() if count > 1]
        verdict.add("rows", len(images), twice)
        verdict.add("final states", ", ".join(f"{count} {state}" for state, count in states))
        _judge_images(verdict, rig, sent, rows, injections)
        _judge_predictions(verdict, session, rows, sent)
        _judge_jobs(verdict, session, len(sent))
        checked = verify(session)
        broken = [f"row {checked.broken}"] if checked.broken is not None else []
        verdict.add("audit chain", f"{checked.rows} rows", broken)
    _judge_files(verdict, rig, rows)
    _count_double_work(verdict, rig, images)
    left = rig.left_behind()
    verdict.add("processes left behind", len(left), left)
    return verdict


def _judge_images(
    verdict: Verdict,
    rig: Rig,
    sent: Sequence[Sent],
    rows: Mapping[Key, Image],
    injections: Sequence[Injection],
) -> None:
    lost = []
    for one in sent:
        row, deleted = rows.get((one.file, one.sha256)), rig.deleted.get(one.sha256)
        if deleted and row:
            verdict.add(
                "file deleted", f"image {row.id}, {deleted}: {row.state} {row.reason or ''}"
            )
        if clause := _what_is_wrong(one, row, was_deleted=deleted is not None):
            lost.append(f"{row.id if row else 'no row'}: {clause}")
            verdict.by_fault[_blame(row, injections)] += 1
    known = {(one.file, one.sha256) for one in sent}
    lost += [f"{rows[key].id} was never sent" for key in rows.keys() - known]
    waiting = sum(row.state not in FINAL_STATES for row in rows.values())
    verdict.add("images", f"{len(rows)} of {len(sent)}, {waiting} without a final state", lost)


def _what_is_wrong(one: Sent, row: Image | None, *, was_deleted: bool) -> str:
    if row is None:
        return "sent, but missing"
    if was_deleted and row.state == State.FAILED and row.reason_code in LOST_BYTES:
        return ""
    expected = State.REJECTED if one.is_refused else State.PREDICTED
    return "" if row.state == expected else f"{row.state} ({row.reason}) instead of {expected}"


def _blame(row: Image | None, injections: Sequence[Injection]) -> str:
    """The newest fault that had begun when the image reached its final state."""
    until = row.finished_at if row else None
    before = [injection.fault for injection in injections if until is None or injection.at <= until]
    return before[-1] if before else "before the first fault"


def _judge_predictions(
    verdict: Verdict, session: Session, rows: Mapping[Key, Image], sent: Sequence[Sent]
) -> None:
    each = select(Prediction.sha256, Prediction.model_version_id, Prediction.operating_point)
    counted = Counter(session.execute(each).tuples())
    twice = [f"{key[0][:8]}: {count} times" for key, count in counted.items() if count > 1]
    predicted = {row.sha256 for row in rows.values() if row.state == State.PREDICTED}
    contents = {key[0] for key in counted}
    never = [f"{sha256[:8]}: never" for sha256 in predicted - contents]
    unused = [f"{sha256[:8]}: not shown" for sha256 in contents - predicted]
    found = f"{len(predicted)} images' contents, {sum(counted.values())} predictions"
    verdict.add("predicted", found, [*twice, *never, *unused])
    wrong = list(wrong_answers(session, sent, predicted))
    verdict.add("wrong answers", len(wrong), wrong)


def _count_double_work(verdict: Verdict, rig: Rig, images: Sequence[Image]) -> None:
    """Neither is a loss: what was done twice was written once."""
    late = sum(int(count) for count in LATE.findall(rig.service.log))
    verdict.add("late results refused", late)
    again = sum(max(0, image.attempts - 1) for image in images)
    verdict.add("predicted again", f"{again} times, after their worker was lost")


def _judge_jobs(verdict: Verdict, session: Session, sent: int) -> None:
    job_ids = list(session.scalars(select(Image.job_id).distinct()))
    wrong = [f"{len(job_ids)} instead of one"] if len(job_ids) != 1 else []
    for job_id in job_ids:
        job = job_progress(session, job_id)
        if job.total != sent or not job.finished:
            wrong.append(f"{job.total} of {sent} images, finished: {job.finished}")
    jobs = session.scalar(select(func.count()).select_from(Job)) or 0
    verdict.add("jobs", f"{len(job_ids)}, and {jobs - len(job_ids)} empty ones", wrong)


def _judge_files(verdict: Verdict, rig: Rig, rows: Mapping[Key, Image]) -> None:
    deleted = [row.id for row in rows.values() if row.sha256 in rig.deleted]
    excused = tuple(f"image {image_id} (" for image_id in deleted)
    found = find_orphans(rig.sessions, rig.store)
    orphans = [line for line in found if not line.startswith(excused)]
    verdict.add("orphaned files and rows", len(orphans), orphans)
    if rig.settings.is_sqlite:
        path = rig.data_dir / "overread.sqlite3"
        with closing(sqlite3.connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        verdict.add("SQLite integrity check", answer, [] if answer == "ok" else [answer])
