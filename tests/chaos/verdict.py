"""What was lost, according to the database and files after the service has stopped."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.audit.verify import verify
from models.context import open_context
from models.files.garbage import collect_garbage
from models.files.orphans import find_orphans
from models.intake.jobs import job_progress
from models.tables.intake import FINAL_STATES, Image, Job, Prediction, State
from tests.chaos.files import Sent
from tests.chaos.injector import Injection
from tests.chaos.rig import Rig

GONE = "no longer in the file store"
SHOWN = 20  # losses that are named


@dataclass(frozen=True)
class Row:
    """The columns of an image that are judged."""

    id: int
    sha256: str
    state: State
    reason: str
    finished_at: float | None


@dataclass
class Verdict:
    """losses: one line each. by_fault: losses by the newest fault before the image ended."""

    counts: Counter[State] = field(default_factory=Counter)
    facts: list[tuple[str, str]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    by_fault: Counter[str] = field(default_factory=Counter)
    deleted: list[str] = field(default_factory=list)

    def fact(self, what: str, found: str, losses: Iterable[str] = ()) -> None:
        self.facts.append((what, found))
        self.losses += [f"{what}: {loss}" for loss in losses]


def tidy(rig: Rig) -> None:
    """The hourly garbage collection, without its grace period."""
    context = open_context(rig.settings)
    collect_garbage(context.sessions, context.store, lease_s=0, age_s=0)
    context.close()


def judge(rig: Rig, sent: Sequence[Sent], injections: Sequence[Injection]) -> Verdict:
    verdict = Verdict()
    with rig.sessions() as session:
        job_ids = list(session.scalars(select(Image.job_id).distinct()))
        rows = _rows(session)
        verdict.counts = Counter(row.state for row in rows.values())
        _judge_images(verdict, rig, sent, rows, injections)
        _judge_predictions(verdict, session, sent, rows)
        _judge_jobs(verdict, session, job_ids, len(sent))
        checked = verify(session)
        broken = [f"row {checked.broken}"] if checked.broken is not None else []
        verdict.fact("audit chain", f"{checked.rows} rows", broken)
    _judge_files(verdict, rig, rows)
    left = rig.left_behind()
    verdict.fact("processes left behind", str(len(left)), left)
    return verdict


def _rows(session: Session) -> dict[str, Row]:
    columns = (Image.file, Image.id, Image.sha256, Image.state, Image.reason, Image.finished_at)
    return {
        row.file: Row(
            row.id,
            row.sha256,
            row.state,
            row.reason or "",
            row.finished_at.timestamp() if row.finished_at else None,
        )
        for row in session.execute(select(*columns))
    }


def _judge_images(
    verdict: Verdict,
    rig: Rig,
    sent: Sequence[Sent],
    rows: dict[str, Row],
    injections: Sequence[Injection],
) -> None:
    lost = []
    for one in sent:
        row = rows.get(one.file)
        was_deleted = one.sha256 in rig.deleted
        if was_deleted and row is not None:
            verdict.deleted.append(_describe_deleted(row, rig.deleted[one.sha256]))
        clause = _what_is_wrong(one, row, was_deleted=was_deleted)
        if clause:
            lost.append(f"{row.id if row else 'no row'}: {clause}")
            verdict.by_fault[_blame(row, injections)] += 1
    surplus = rows.keys() - {one.file for one in sent}
    waiting = sum(row.state not in FINAL_STATES for row in rows.values())
    verdict.fact("files sent", str(len(sent)))
    verdict.fact("images", f"{len(rows)}, {waiting} without a final state", lost)
    verdict.losses += [f"images: {rows[file].id} was never sent" for file in surplus]


def _what_is_wrong(one: Sent, row: Row | None, *, was_deleted: bool) -> str:
    if row is None:
        return "sent, but missing"
    if row.sha256 != one.sha256:
        return "its content differs"
    if was_deleted and row.state == State.FAILED and GONE in row.reason:
        return ""
    expected = State.REJECTED if one.is_refused else State.PREDICTED
    return "" if row.state == expected else f"{row.state} ({row.reason}) instead of {expected}"


def _describe_deleted(row: Row, which: str) -> str:
    return f"image {row.id}, {which}: {row.state}{f' ({row.reason})' if row.reason else ''}"


def _blame(row: Row | None, injections: Sequence[Injection]) -> str:
    """The newest fault that had begun when the image reached its final state."""
    until = row.finished_at if row else None
    before = [injection.fault for injection in injections if until is None or injection.at <= until]
    return before[-1] if before else "before the first fault"


def _judge_predictions(
    verdict: Verdict, session: Session, sent: Sequence[Sent], rows: dict[str, Row]
) -> None:
    each = select(Prediction.sha256, Prediction.model_version_id, Prediction.operating_point)
    counted: Counter[tuple[str, int, str]] = Counter(session.execute(each).tuples())
    twice = [f"{key[0][:8]}: {count} times" for key, count in counted.items() if count > 1]
    predicted = {row.sha256 for row in rows.values() if row.state == State.PREDICTED}
    contents = {key[0] for key in counted}
    never = [f"{sha256[:8]}: never" for sha256 in predicted - contents]
    unused = [f"{sha256[:8]}: not shown" for sha256 in contents - predicted]
    found = f"{len(predicted)} images' contents, {sum(counted.values())} predictions"
    verdict.fact("predicted", found, [*twice, *never, *unused])


def _judge_jobs(verdict: Verdict, session: Session, job_ids: Sequence[str], sent: int) -> None:
    wrong = []
    for job_id in job_ids:
        job = job_progress(session, job_id)
        assert job is not None
        if job.total != sent or not job.finished:
            wrong.append(f"{job.total} of {sent} images, finished: {job.finished}")
    jobs = session.scalar(select(func.count()).select_from(Job)) or 0
    found = f"{len(job_ids)}, and {jobs - len(job_ids)} empty ones"
    several = [f"{len(job_ids)} instead of one"] if len(job_ids) != 1 else []
    verdict.fact("jobs", found, [*wrong, *several])


def _judge_files(verdict: Verdict, rig: Rig, rows: dict[str, Row]) -> None:
    deleted = {row.id for row in rows.values() if row.sha256 in rig.deleted}
    excused = tuple(f"image {image_id} (" for image_id in deleted)
    orphans = [
        line for line in find_orphans(rig.sessions, rig.store) if not line.startswith(excused)
    ]
    verdict.fact("orphaned files and rows", str(len(orphans)), orphans)
    if rig.settings.is_sqlite:
        path = rig.data_dir / "overread.sqlite3"
        with closing(sqlite3.connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        verdict.fact("SQLite integrity check", answer, [] if answer == "ok" else [answer])
