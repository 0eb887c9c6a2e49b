"""One submission: files are hashed and declared to a job, sent, and the job is closed.

The service's declarations say what has arrived. The data folder only keeps which job the given
paths belong to, so that the same command resumes it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from cli.api.client import Client
from cli.api.errors import CONFLICT, NotFoundError, Refused
from cli.errors import Failed
from cli.progress import progress
from cli.submit.send import DECLARED_AT_ONCE, Sender, Upload, hash_files
from cli.walk import Walk
from models.config.secrets import write_private
from models.file_lock import LockedError, file_lock
from pipeline.text import plural, readable


class Submission:
    """The job that the given paths are sent to, kept in a file until the job is closed."""

    def __init__(self, data_dir: Path, *, service: str, paths: Sequence[Path]) -> None:
        """service: a remote one's URL; empty: the data folder's own, whose URL may change."""
        key = json.dumps([service, sorted(str(path.absolute()) for path in paths)])
        name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = data_dir / "submissions" / f"{name}.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Raises Failed while another command submits the same paths."""
        folder, path = self._file.parent, self._file.with_suffix(".lock")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = f"{folder}: cannot be used: {error.strerror}"
            raise Failed(f"{why}; set OVERREAD_DATA to another folder") from None
        try:
            with file_lock(path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
        except LockedError:
            raise Failed("another `overread submit` is sending the same files") from None

    def read(self) -> tuple[str, bool] | None:
        """Return the job's id, and whether all its files were sent."""
        try:
            saved = json.loads(self._file.read_text())
            return str(saved["job_id"]), bool(saved["sent"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, job_id: str, *, is_sent: bool = False) -> None:
        write_private(self._file, json.dumps({"job_id": job_id, "sent": is_sent}))

    def delete(self) -> None:
        self._file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Sent:
    """job: as it was when it was closed. unsent: names of files that were not sent, and why."""

    job: dict[str, Any]
    files: int
    sent_before: int
    unsent: list[tuple[str, str]]

    def summary(self) -> str:
        before = f" ({self.sent_before} of them earlier)" if self.sent_before else ""
        without = f", {len(self.unsent)} could not be sent" if self.unsent else ""
        images = plural(self.job["total"], "image")
        return f"sent {plural(self.files, 'file')}{before}: {images}{without}"


class NothingSent(Failed):
    """No file could be read, so that no job was created."""

    def __init__(self, unsent: list[tuple[str, str]]) -> None:
        what = "the only file" if len(unsent) == 1 else f"none of the {len(unsent)} files"
        super().__init__(f"nothing was sent: {what} could be read")
        self.unsent = unsent


def submit_paths(
    client: Client, paths: Sequence[Path], *, name: str | None, submission: Submission
) -> Sent:
    walk = Walk(paths)
    total = walk.count()
    if clause := walk.left_out():
        click.echo(clause, err=True)
    job_name = (name or readable(paths[0].resolve().name) or "upload")[:200]
    with submission.lock():
        job, was_sent = None, False
        if saved := submission.read():
            with suppress(NotFoundError):
                job, was_sent = client.job(saved[0]), saved[1]
        if job and job["closed_at"] and was_sent:  # the answer to closing it was lost
            click.echo(f"job {job['id']} has all files already and is closed", err=True)
            submission.delete()
            files = job["declared"] - job["missing"] - job["given_up"]
            return Sent(job, files, files, [])
        if job and not job["closed_at"] and not job["cancelled_at"]:
            click.echo(f"resuming job {job['id']}", err=True)
        else:
            job = None
        return _submit(client, walk, submission, job=job, name=job_name, total=total)


def _submit(
    client: Client,
    walk: Walk,
    submission: Submission,
    *,
    job: dict[str, Any] | None,
    name: str,
    total: int,
) -> Sent:
    uploads: dict[int, Upload] = {}
    unsent: list[tuple[str, str]] = []
    with progress("Declaring", total=total) as shown:
        client.on_wait = shown.say
        hashed = hash_files(walk, unsent)
        while files := list(islice(hashed, DECLARED_AT_ONCE)):
            if job is None:
                job = client.create_job(name)
                submission.write(job["id"])
            uploads |= _declare(client, job["id"], files)
            shown.show(len(uploads) + len(unsent))
    if job is None:
        submission.delete()
        raise NothingSent(unsent)
    with progress("Sending", total=total) as shown:
        client.on_wait = shown.say
        failures = Sender(client, job["id"], uploads.values(), shown).send_all()
    submission.write(job["id"], is_sent=True)
    closed, given_up = _close(client, job["id"], uploads, failures)
    submission.delete()
    before = sum(upload.arrived for upload in uploads.values())
    return Sent(closed, len(uploads) - len(failures), before, unsent + given_up)


def _declare(client: Client, job_id: str, files: Sequence[Upload]) -> dict[int, Upload]:
    described = [{"file": one.file, "size": one.size, "sha256": one.sha256} for one in files]
    answers = client.declare(job_id, described)
    uploads = {}
    for file, answer in zip(files, answers, strict=True):
        known = {name: answer[name] for name in ("id", "received", "arrived")}
        uploads[answer["id"]] = replace(file, folder=_top_folder(answer), **known)
    return uploads


def _top_folder(answer: dict[str, Any]) -> str:
    return str(answer["file"]).split("/", 1)[0]


def _close(
    client: Client, job_id: str, uploads: dict[int, Upload], failures: dict[int, str]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Close the job; files that this command declared and could not send are given up.

    Returns the job, and the names of those files with the cause.
    """
    try:
        return client.close_job(job_id), []
    except Refused as refusal:
        if refusal.status != CONFLICT:
            raise
        missing = list(client.missing_uploads(job_id))
        folders = {upload.folder for upload in uploads.values()}
        given_up = []
        for one in missing:
            if one["id"] in failures:
                given_up.append((uploads[one["id"]].file, failures[one["id"]]))
            elif one["id"] not in uploads and _top_folder(one) in folders:  # by an earlier command
                given_up.append((one["file"], "has changed or gone since it was declared"))
        if not given_up:
            raise
        if len(given_up) < len(missing):
            others = plural(len(missing) - len(given_up), "file")
            raise Failed(
                f"{others} that another client declared have not arrived, so the job stays open; "
                f"submit again, or close it: overread jobs {job_id} --close"
            ) from None
    return client.close_job(job_id, missing="give_up"), given_up
