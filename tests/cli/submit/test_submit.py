"""`overread submit` against a real portal: no file is lost, none is sent twice."""

import os
import random
import threading
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import Result

from cli.api.client import Client
from cli.errors import Failed
from cli.submit.submit import follow
from models.intake.images import cancel_waiting
from models.intake.jobs import close_job, list_jobs
from tests.support.data.uploads import a_png
from tests.support.servers.command import run
from tests.support.servers.portal_server import Environment, ServedPortal
from tests.support.servers.service import wait_until

CHUNK = 8 * 2**20
LARGE = 2 * CHUNK + 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six small files, an empty one, a zip of two, a large one."""
    folder = tmp_path / "ward 3"
    (folder / "p1").mkdir(parents=True)
    for number in range(1, 7):
        (folder / "p1" / f"{number:02}.png").write_bytes(a_png(seed=number))
    (folder / "empty").touch()
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("a.png", a_png(seed=100))
        archive.writestr("b.png", a_png(seed=101))
    (folder / "z-large.bin").write_bytes(random.Random(0).randbytes(LARGE))
    return folder


def cut_off_midway(service: ServedPortal, folder: Path) -> None:
    """Let in no more after the small files and the large one's first chunk."""

    def interfere(environ: Environment) -> int | None:
        if environ.get("HTTP_UPLOAD_OFFSET", "0") == "0":
            return None
        wait_until(lambda: service.newest_job().missing == 1, within_s=30, what="the small files")
        return 403

    service.interceptor.handler = interfere
    assert service.run("submit", folder).exit_code == 1
    service.interceptor.handler = lambda _: None
    service.interceptor.requests.clear()


def test_submit_declares_all_files_before_sending_them(service: ServedPortal, folder: Path) -> None:
    result = service.run("submit", folder)

    assert result.exit_code == 0, result.stderr
    assert "sent 9 files: 10 images\n" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.missing, job.total) == (9, 0, 10)
    assert job.closed_at is not None
    methods = [method for method, *_ in service.interceptor.requests]
    assert methods == ["POST", "POST", *["PATCH"] * 4, "POST"], "job, files, their bytes, close"
    assert service.interceptor.sent("PATCH", "uploads") == 1
    assert sorted(service.interceptor.pieces()) == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 1000)]
    submissions = service.settings.data_dir / "of the sender" / "submissions"
    assert list(submissions.iterdir()) == [], "names of files stay behind"


def test_submit_again_resumes_in_the_middle_of_a_large_file(
    service: ServedPortal, folder: Path
) -> None:
    cut_off_midway(service, folder)
    first = service.newest_job()
    assert (first.closed_at, first.declared) == (None, 9)
    assert first.missing == 1

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    assert f"resuming job {first.id}\n" in again.stderr
    assert "sent 9 files (8 of them earlier): 10 images\n" in again.stderr
    assert service.interceptor.pieces() == [(CHUNK, CHUNK), (2 * CHUNK, 1000)]
    assert service.interceptor.sent("PATCH", "uploads") == 0, "what had arrived was sent again"
    assert (service.newest_job().total, service.newest_job().missing) == (10, 0)


def test_submit_sends_a_large_file_again_if_its_stored_bytes_were_damaged(
    service: ServedPortal, folder: Path
) -> None:
    cut_off_midway(service, folder)
    partials = (service.settings.files_dir / "partial").iterdir()
    partial = max(partials, key=lambda path: path.stat().st_mtime)
    with partial.open("r+b") as file:
        file.write(b"damage")

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    offsets = [offset for offset, _ in service.interceptor.pieces()]
    assert offsets == [CHUNK, 2 * CHUNK, 0, CHUNK, 2 * CHUNK]
    assert service.newest_job().missing == 0


@pytest.mark.parametrize("large_content", [bytes(CHUNK + 5), bytes(LARGE)])
def test_submit_names_files_that_change_or_vanish_and_sends_the_others(
    service: ServedPortal, folder: Path, large_content: bytes
) -> None:
    large, small, short = (folder / name for name in ("z-large.bin", "p1/03.png", "p1/04.png"))

    def interfere(environ: Environment) -> None:
        if service.interceptor.requests[-1][:2] != ("POST", "uploads"):
            return
        (folder / "p1" / "01.png").unlink(missing_ok=True)
        small.write_bytes(bytes(small.stat().st_size))
        os.truncate(short, 50)
        large.write_bytes(large_content)

    service.interceptor.handler = interfere
    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert "ward 3/p1/01.png: cannot be read: No such file or directory\n" in result.stderr
    for name in ("p1/03.png", "p1/04.png", "z-large.bin"):
        assert f"ward 3/{name}: has changed since it was declared\n" in result.stderr
    assert "sent 5 files: 6 images, 4 could not be sent\n" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.given_up, job.missing) == (9, 4, 0)
    assert job.total == 6
    assert job.closed_at is not None


def test_submit_again_sends_files_as_they_are_now(service: ServedPortal, folder: Path) -> None:
    service.interceptor.handler = lambda environ: (
        403 if environ["REQUEST_METHOD"] == "PATCH" else None
    )
    assert service.run("submit", folder).exit_code == 1
    changed, gone = folder / "p1" / "05.png", folder / "p1" / "06.png"
    changed.write_bytes(a_png(seed=700))
    gone.unlink()
    service.interceptor.handler = lambda _: None

    result = service.run("submit", folder)

    assert result.exit_code == 1
    for name in ("05", "06"):
        line = f"ward 3/p1/{name}.png: has changed or gone since it was declared\n"
        assert line in result.stderr
    assert service.newest_job().given_up == 2
    assert "sent 8 files" in result.stderr


@pytest.mark.parametrize("saved", ["damaged", '{"job_id": "gone", "sent": false}'])
def test_submit_again_without_its_job_creates_a_new_one(
    service: ServedPortal, folder: Path, saved: str
) -> None:
    def hide_the_job(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "PATCH":
            job_id = service.newest_job().id
            environ["PATH_INFO"] = environ["PATH_INFO"].replace(job_id, "gone")

    service.interceptor.handler = hide_the_job
    first = service.run("submit", folder)
    assert (first.exit_code, first.stderr.splitlines()[-1]) == (
        1,
        "Error: the job was deleted before all files were sent",
    )
    (kept,) = (service.settings.data_dir / "of the sender" / "submissions").glob("*.json")
    kept.write_text(saved)
    service.interceptor.handler = lambda _: None
    service.interceptor.requests.clear()

    assert service.run("submit", folder).exit_code == 0
    assert service.interceptor.sent("POST", "jobs") == 1


def test_submit_waits_for_a_full_disk(service: ServedPortal, folder: Path) -> None:
    full = iter([507, 507])
    service.interceptor.handler = lambda _: next(full, None)

    result = service.run("submit", folder)

    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("the service's disk is nearly full; waiting for free space") == 1


def test_submit_leaves_the_job_open_for_files_declared_by_another_client(
    service: ServedPortal, folder: Path
) -> None:
    def declare_another(environ: Environment) -> int | None:
        if environ["PATH_INFO"].endswith("/close"):
            job_id = environ["PATH_INFO"].split("/")[-2]
            declare = [{"file": "another", "size": 1, "sha256": ""}]
            with Client(service.url, service.token) as client:
                service.interceptor.handler = lambda _: None
                client.declare(job_id, declare)
        return None

    service.interceptor.handler = declare_another
    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert service.newest_job().closed_at is None
    assert service.newest_job().missing == 1


def test_submit_again_after_a_lost_answer_to_close_sends_nothing(
    service: ServedPortal, folder: Path
) -> None:
    def close_and_lose_the_answer(environ: Environment) -> int | None:
        if not environ["PATH_INFO"].endswith("/close"):
            return None
        with service.portal.database.sessions.begin() as session:
            close_job(session, service.newest_job().id)
        return 403

    service.interceptor.handler = close_and_lose_the_answer
    assert service.run("submit", folder).exit_code == 1
    service.interceptor.handler = lambda _: None
    service.interceptor.requests.clear()

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    assert f"job {service.newest_job().id} has all files already" in again.stderr
    assert "sent 9 files (9 of them earlier): 10 images\n" in again.stderr
    assert [what for what in service.interceptor.requests if what[0] == "POST"] == []
    assert service.run("submit", folder).exit_code == 0
    assert service.interceptor.sent("POST", "jobs") == 1, "a further command creates a new job"


def test_submit_refuses_to_run_twice_for_the_same_files(
    service: ServedPortal, folder: Path
) -> None:
    second: list[Result] = []
    once = threading.Lock()  # a batch and a chunk are sent at the same time

    def send_the_same(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "PATCH" and once.acquire(blocking=False):
            second.append(service.run("submit", folder))

    service.interceptor.handler = send_the_same
    first = service.run("submit", folder)

    assert (first.exit_code, second[0].exit_code) == (0, 1)
    assert second[0].stderr == "Error: another `overread submit` is sending the same files\n"


def test_submit_sends_files_of_any_name(service: ServedPortal, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"ward\xe9\x1b[31m")
    folder.mkdir()
    names = (b'quo"te.png', b"back\\slash.png", b"two\nlines.png", b"latin\xe9.png", b" .png ")
    for number, name in enumerate(names):
        (folder / os.fsdecode(name)).write_bytes(a_png(seed=number))
    # Equal bytes under a name that differs in the byte that is not UTF-8 alone.
    (folder / os.fsdecode(b"latin\xe8.png")).write_bytes(a_png(seed=3))
    (folder / "broken\x1b]0;title\x07").symlink_to("nowhere")

    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert "sent 6 files: 6 images, 1 could not be sent" in result.stderr
    broken = "/broken\ufffd1B]0;title\ufffd07: cannot be read: No such file or directory\n"
    assert broken in result.stderr
    job = service.newest_job()
    assert job.name == "ward\ufffd\ufffd[31m"
    assert (job.declared, job.missing, job.total) == (6, 0, 6)


def test_submit_reports_an_unusable_data_folder_in_one_line(
    service: ServedPortal, folder: Path
) -> None:
    data = service.settings.data_dir / "a file"
    data.touch()

    result = run(
        "submit",
        folder,
        OVERREAD_URL=service.url,
        OVERREAD_DATA=str(data),
        OVERREAD_TOKEN=service.token,
    )

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {data}/submissions: cannot be used: Not a directory; "
        "set OVERREAD_DATA to another folder\n"
    )


def test_submit_says_why_images_wait_and_gives_up_after_its_patience(
    service: ServedPortal, tmp_path: Path
) -> None:
    """No broker runs in this test, and no worker."""
    (tmp_path / "a.png").write_bytes(a_png())
    result = service.run("submit", tmp_path / "a.png", "--wait", "--patience", "1")

    assert result.exit_code == 1
    cause = "images wait: the broker does not respond; tell the operator"
    *_, said, error = result.stderr.splitlines()
    assert said == cause
    job = service.newest_job()
    assert error == (
        f"Error: {cause}; no progress for 1 s; the job continues, "
        f"for its results: overread results --job {job.id}"
    )


def test_patience_begins_anew_with_progress_and_when_nothing_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polls = [(0, "away")] * 9 + [(1, "away")] * 9 + [(1, "")] + [(1, "away")] * 99
    now = [0]

    def job(_: str, *, wait_s: int = 0) -> dict[str, Any]:
        now[0] += wait_s
        done, cause = polls[now[0]]
        waiting = {"message": cause} if cause else None
        others = dict.fromkeys(("rejected", "failed", "cancelled", "images_per_second"), 0)
        return {"total": 2, "finished": False, "predicted": done, "waiting_for": waiting, **others}

    monkeypatch.setattr("cli.submit.submit.time", Mock(monotonic=lambda: now[0]))
    with pytest.raises(Failed, match="away; no progress for 10 s"):
        follow(Mock(job=job), "1", patience_s=10)
    assert now == [9 + 9 + 10 + 1], "ten polls after the only one at which nothing was away"


def test_submit_follows_the_job_to_its_end(service: ServedPortal, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(a_png(seed=900))

    waits = []

    def end_at_the_third_poll(environ: Environment) -> None:
        waits.append(environ.get("HTTP_PREFER"))
        job_id = environ["PATH_INFO"].rsplit("/", 1)[1]
        if service.interceptor.sent("GET", job_id) == 3:
            with service.portal.database.sessions.begin() as session:
                cancel_waiting(session, job_id, limit=1)

    service.interceptor.handler = end_at_the_third_poll
    result = service.run("submit", tmp_path / "a.png", "--wait")
    assert result.exit_code == 1, result.stderr
    assert "1 images: 1 cancelled" in result.stdout
    assert result.stderr.count("images wait: ") == 1
    assert "wait=1" in waits, "it asks again and again instead of waiting"


def jobs(service: ServedPortal) -> int:
    with service.portal.database.sessions() as session:
        return list_jobs(session).total


def test_submit_creates_no_job_if_no_file_can_be_read(
    service: ServedPortal, tmp_path: Path
) -> None:
    unreadable = tmp_path / "ward 4"
    unreadable.mkdir()
    for name in ("a.png", "b.png"):  # nobody can read them, whoever runs the tests
        (unreadable / name).symlink_to(f"gone-{name}")
    before = jobs(service)
    submissions = service.settings.data_dir / "of the sender" / "submissions"
    saved = set(submissions.iterdir())
    result = service.run("submit", unreadable, "--wait", "--json")

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "ward 4/a.png: cannot be read: No such file or directory",
        "ward 4/b.png: cannot be read: No such file or directory",
        "Error: nothing was sent: none of the 2 files could be read",
    ]
    assert result.stdout == ""
    assert jobs(service) == before
    assert service.interceptor.requests == []
    assert set(submissions.iterdir()) == saved

    (unreadable / "gone-a.png").write_bytes(a_png())
    assert service.run("submit", unreadable).exit_code == 1, "b.png cannot be read yet"
    assert jobs(service) == before + 1


@pytest.mark.parametrize("names", [(), (".hidden", "Thumbs.db")])
def test_submit_refuses_a_folder_without_files(
    service: ServedPortal, tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    before = jobs(service)
    result = service.run("submit", folder)

    assert result.exit_code == 2
    left_out = f" (left out: 2 hidden or junk files ({', '.join(names)}))" if names else ""
    assert result.stderr == f"Error: {folder}: contains no files{left_out}\n"
    assert jobs(service) == before
