"""One submission: a job is made or found again; files are declared, sent; the job is closed."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.answers import CONFLICT, NotFoundError, Refused
from cli.client import Client
from cli.declaring import declare_all, declare_to
from cli.fatal import Failed
from cli.journal import Hashed, Journal
from cli.progress import progress
from cli.sending import Sending
from cli.sources import Walk
from cli.submissions import Submission
from pipeline.text import readable


@dataclass(frozen=True)
class Sent:
    """job: as it was when it was closed. unsent: names and causes of what could not be sent."""

    job: dict[str, Any]
    files: int
    already_there: int
    unsent: list[tuple[str, str]]

    def in_words(self) -> str:
        before = f" ({self.already_there} of them earlier)" if self.already_there else ""
        without = f", {len(self.unsent)} could not be sent" if self.unsent else ""
        return f"sent {self.files} files{before}: {self.job['total']} images{without}"


def submit_paths(
    client: Client, paths: Sequence[Path], *, name: str | None, submission: Submission
) -> Sent:
    walk = Walk(paths)
    total = walk.count()
    if clause := walk.left_out():
        click.echo(clause, err=True)
    try:
        named = name or readable(paths[0].resolve().name)
        with submission.hold():
            return _submit(client, walk, submission, name=named, total=total)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise Failed(
            f"the notes of what was sent, in {submission.folder}, cannot be used: {why}; "
            "OVERREAD_DATA may name another folder"
        ) from None


class NothingSent(Failed):
    """unsent: names and causes. There is no job, for there is nothing to put into one."""

    def __init__(self, unsent: list[tuple[str, str]]) -> None:
        what = "the only file" if len(unsent) == 1 else f"none of the {len(unsent)} files"
        super().__init__(f"nothing was sent: {what} could be read")
        self.unsent = unsent


class _Target:
    """The job that was cut off, or one that is made once there is something to put into it."""

    def __init__(self, client: Client, submission: Submission, *, name: str) -> None:
        self._client, self._submission, self._name = client, submission, name
        self.job_id = submission.job_id()

    def declare(self, files: list[Hashed], journal: Journal) -> None:
        if self.job_id is None:
            self.job_id = str(self._client.create_job(self._name)["id"])
            self._submission.remember(self.job_id)
        declare_to(self._client, self.job_id, files, journal)


def _submit(client: Client, walk: Walk, submission: Submission, *, name: str, total: int) -> Sent:
    job = _earlier_job(client, submission)
    if job and job["closed_at"] and submission.is_sent:
        return _sent_before(job, submission)
    if job is None or job["closed_at"] or job["cancelled_at"]:
        # What was closed or cancelled meanwhile is at its end; the same paths are sent anew.
        submission.forget()
    else:
        click.echo(f"going on with job {job['id']}, which was cut off", err=True)
    with submission.journal() as journal:
        target = _Target(client, submission, name=(name or "upload")[:200])
        unreadable = _declare(client, target, walk, total=total, journal=journal)
        if target.job_id is None:
            submission.forget()
            raise NothingSent(unreadable)
        before = journal.count_arrived()
        _send(client, target.job_id, total=total, journal=journal)
        submission.remember(target.job_id, is_sent=True)
        ended, given_up = _close(client, target.job_id, journal)
        sent = Sent(ended, journal.count_arrived(), before, unreadable + given_up)
    submission.forget()
    return sent


def _sent_before(job: dict[str, Any], submission: Submission) -> Sent:
    """The command before this one did all, and never heard that the job was closed."""
    click.echo(f"job {job['id']} has all of it already, and is closed", err=True)
    with submission.journal() as journal:
        arrived = journal.count_arrived()
    submission.forget()
    return Sent(job, arrived, arrived, [])


def _declare(
    client: Client, target: _Target, walk: Walk, *, total: int, journal: Journal
) -> list[tuple[str, str]]:
    """Returns names and causes of what cannot be read."""
    with progress("Declaring", total=total) as shown:
        client.on_wait = shown.say
        return declare_all(
            lambda files: target.declare(files, journal), walk, journal=journal, shown=shown
        )


def _send(client: Client, job_id: str, *, total: int, journal: Journal) -> None:
    with progress("Sending", total=total) as shown:
        client.on_wait = shown.say
        Sending(client, job_id, journal=journal, shown=shown).send_all()


def _close(
    client: Client, job_id: str, journal: Journal
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Gives up those files alone of which this command says why; returns them with the causes."""
    try:
        return client.close_job(job_id), []
    except Refused as refusal:
        if refusal.status != CONFLICT:
            raise
        causes = [journal.cause(one["id"]) for one in client.uploads(job_id, state="missing")]
        given_up = [cause for cause in causes if cause is not None]
        if not given_up:
            raise
        if len(given_up) < len(causes):
            raise Failed(_left_open(len(causes) - len(given_up))) from None
    return client.close_job(job_id, missing="give_up"), given_up


def _left_open(number: int) -> str:
    return (
        f"{number} declared files have not arrived, and not by this command's doing: "
        "the job stays open; run the same command again, or see: overread jobs ID --close"
    )


def _earlier_job(client: Client, submission: Submission) -> dict[str, Any] | None:
    job_id = submission.job_id()
    try:
        return client.job(job_id) if job_id else None
    except NotFoundError:
        return None
