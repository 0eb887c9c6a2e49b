"""One submission: a job is made or found again; files are declared, sent; the job is closed.

Remembers unfinished submissions, so that the same command goes on where it was cut off.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.api.client import Client
from cli.api.errors import CONFLICT, NotFoundError, Refused
from cli.errors import Failed
from cli.progress import progress
from cli.submit.declare import declare_all, declare_to
from cli.submit.send import Sending
from cli.submit.upload_state import Hashed, Journal
from cli.walk import Walk
from models.config.secrets import write_private
from models.file_lock import LockedError, file_lock
from pipeline.text import readable


class Submission:
    """What was sent where, kept in the data folder until all was sent."""

    def __init__(self, data_dir: Path, *, service: str, paths: Sequence[Path]) -> None:
        """service: a remote one's address, or nothing: the data folder's own may change its."""
        wanted = json.dumps([service, sorted(str(path.absolute()) for path in paths)])
        name = hashlib.sha256(wanted.encode(errors="surrogateescape")).hexdigest()[:32]
        self.folder = data_dir / "submissions"
        self._path = self.folder / f"{name}.json"
        self._journal = self._path.with_suffix(".sqlite3")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Failed while another command sends the same; the kernel drops the lock with it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path.with_suffix(".lock")
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(path))
            except LockedError:
                raise Failed("another `overread submit` is sending the same already") from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def job_id(self) -> str | None:
        job_id = self._notes().get("job_id")
        return str(job_id) if job_id else None

    @property
    def is_sent(self) -> bool:
        """All has arrived, or is given up; whether the job's end was answered is not known."""
        return bool(self._notes().get("sent"))

    def remember(self, job_id: str, *, is_sent: bool = False) -> None:
        write_private(self._path, json.dumps({"job_id": job_id, "sent": is_sent}))

    def _notes(self) -> dict[str, Any]:
        try:
            notes: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return notes

    def journal(self) -> Journal:
        return Journal(self._journal)

    def forget(self) -> None:
        self._journal.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


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
