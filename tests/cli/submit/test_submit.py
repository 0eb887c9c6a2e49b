"""Submitting to a real portal: everything is declared, nothing is lost, nothing comes twice."""

import os
import random
import zipfile
from pathlib import Path

import pytest
from click.testing import Result

from cli.api.client import Client
from cli.api.errors import DiskFullError
from cli.submit.upload_state import Hashed, Journal
from cli.walk import Source
from models.config.settings import Settings
from models.intake.jobs import close_job
from tests.support.data.uploads import a_png
from tests.support.servers.served import Environment, Served, served
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


def cut_off_midway(service: Served, folder: Path) -> None:
    """Let in no more after the small files and the large one's first chunk."""

    def interfere(environ: Environment) -> int | None:
        if environ.get("HTTP_UPLOAD_OFFSET", "0") == "0":
            return None
        wait_until(lambda: service.newest_job().missing == 1, within_s=30, what="the small files")
        return 403

    service.between.watcher = interfere
    assert service.run("submit", folder).exit_code == 1
    service.between.watcher = lambda _: None
    service.between.requests.clear()


def test_all_is_declared_sent_and_counted(service: Served, folder: Path) -> None:
    result = service.run("submit", folder)

    assert result.exit_code == 0, result.stderr
    assert "sent 9 files: 10 images\n" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.missing, job.total) == (9, 0, 10)
    assert job.closed_at is not None
    last_declaration = max(
        place for place, (_, what, *_) in enumerate(service.between.requests) if what == "uploads"
    )
    first_file = [what for _, what, *_ in service.between.requests].index("files")
    assert last_declaration < first_file
    assert sorted(service.between.pieces()) == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 1000)]
    submissions = service.settings.data_dir / "of the sender" / "submissions"
    assert list(submissions.iterdir()) == [], "names of files stay behind"


def test_the_same_command_goes_on_in_the_middle(service: Served, folder: Path) -> None:
    cut_off_midway(service, folder)
    first = service.newest_job()
    assert (first.closed_at, first.declared) == (None, 9)
    assert first.missing == 1

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    assert f"going on with job {first.id}" in again.stderr
    assert "sent 9 files (8 of them earlier): 10 images\n" in again.stderr
    assert service.between.pieces() == [(CHUNK, CHUNK), (2 * CHUNK, 1000)]
    assert service.between.sent("files") == 0, "what had arrived was sent again"
    assert (service.newest_job().total, service.newest_job().missing) == (10, 0)


def test_notes_that_a_crash_has_damaged_are_told(service: Served, folder: Path) -> None:
    cut_off_midway(service, folder)
    (notes,) = (service.settings.data_dir / "of the sender" / "submissions").glob("*.sqlite3")
    good = notes.read_bytes()
    notes.write_bytes(b"damage" * 100)

    told = service.run("submit", folder)

    assert told.exit_code == 1
    assert f"in {notes.parent}, cannot be used: file is not a database" in told.stderr
    notes.write_bytes(good)
    assert service.run("submit", folder).exit_code == 0


def test_bytes_that_a_crash_has_damaged_are_sent_again(service: Served, folder: Path) -> None:
    cut_off_midway(service, folder)
    partials = (service.settings.files_dir / "partial").iterdir()
    partial = max(partials, key=lambda path: path.stat().st_mtime)
    with partial.open("r+b") as file:
        file.write(b"damage")

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    offsets = [offset for offset, _ in service.between.pieces()]
    assert offsets == [CHUNK, 2 * CHUNK, 0, CHUNK, 2 * CHUNK]
    assert service.newest_job().missing == 0


def test_a_large_file_that_was_written_anew_is_named(service: Served, folder: Path) -> None:
    cut_off_midway(service, folder)

    def write_anew(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "PATCH":
            (folder / "z-large.bin").write_bytes(bytes(LARGE))

    service.between.watcher = write_anew
    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert "ward 3/z-large.bin: has changed since it was declared\n" in result.stderr
    assert service.newest_job().given_up == 1


def test_a_file_that_changes_or_goes_is_named_and_the_others_are_sent(
    service: Served, folder: Path
) -> None:
    large, small = folder / "z-large.bin", folder / "p1" / "03.png"

    def interfere(environ: Environment) -> None:
        if not service.between.requests[-1][1].startswith("uploads"):
            return
        (folder / "p1" / "01.png").unlink(missing_ok=True)
        small.write_bytes(a_png(seed=500))
        os.truncate(large, CHUNK + 5)

    service.between.watcher = interfere
    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert "ward 3/p1/01.png: cannot be read: No such file or directory\n" in result.stderr
    assert "ward 3/p1/03.png: has changed since it was declared\n" in result.stderr
    assert "ward 3/z-large.bin: has changed since it was declared\n" in result.stderr
    assert "sent 6 files: 7 images, 3 could not be sent\n" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.given_up, job.missing) == (9, 3, 0)
    assert job.total == 7
    assert job.closed_at is not None


def test_what_changed_between_two_runs_is_sent_as_it_is_now(service: Served, folder: Path) -> None:
    service.between.watcher = lambda environ: 403 if "files" in environ["PATH_INFO"] else None
    assert service.run("submit", folder).exit_code == 1
    changed, gone = folder / "p1" / "05.png", folder / "p1" / "06.png"
    changed.write_bytes(a_png(seed=700))
    gone.unlink()
    service.between.watcher = lambda _: None

    result = service.run("submit", folder)

    assert result.exit_code == 1
    for name in ("05", "06"):
        line = f"ward 3/p1/{name}.png: has changed or gone since it was declared\n"
        assert line in result.stderr
    assert service.newest_job().given_up == 2
    assert "sent 8 files" in result.stderr


def test_a_file_that_cannot_be_read_is_named(service: Served, folder: Path) -> None:
    (folder / "broken.dcm").symlink_to("nowhere.dcm")

    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert "ward 3/broken.dcm: cannot be read: No such file or directory\n" in result.stderr
    assert "sent 9 files: 10 images, 1 could not be sent" in result.stderr


def test_a_full_disk_is_waited_for(service: Served, folder: Path) -> None:
    full = iter([507, 507])
    service.between.watcher = lambda _: next(full, None)

    result = service.run("submit", folder)

    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("the service's disk is nearly full; waiting for room") == 1


def test_a_disk_that_stays_full_is_said_in_one_line(settings: Settings) -> None:
    full = settings.model_copy(update={"disk_reserve_bytes": 2**60})
    with (
        served(full) as service,
        Client(service.url, service.token, disk_patience_s=0.1) as client,
        pytest.raises(DiskFullError) as refused,
    ):
        client.declare(client.create_job("a")["id"], [{"file": "a", "size": 1, "sha256": ""}])
    assert refused.value.exit_code == 1
    assert str(refused.value) == (
        "the service's disk is nearly full; nothing that was sent is lost; "
        "run the same command again later"
    )


def test_files_that_someone_else_declared_keep_the_job_open(service: Served, folder: Path) -> None:
    """Only what the command itself has named may be given up."""

    def declare_another(environ: Environment) -> int | None:
        if environ["PATH_INFO"].endswith("/close"):
            job_id = environ["PATH_INFO"].split("/")[-2]
            declare = [{"file": "another", "size": 1, "sha256": ""}]
            with Client(service.url, service.token) as client:
                service.between.watcher = lambda _: None
                client.declare(job_id, declare)
        return None

    service.between.watcher = declare_another
    result = service.run("submit", folder)

    assert result.exit_code == 1
    assert service.newest_job().closed_at is None
    assert service.newest_job().missing == 1


def test_who_did_not_hear_that_all_is_closed_sends_nothing_again(
    service: Served, folder: Path
) -> None:
    def close_and_say_nothing_of_it(environ: Environment) -> int | None:
        if not environ["PATH_INFO"].endswith("/close"):
            return None
        with service.portal.database.sessions.begin() as session:
            close_job(session, service.newest_job().id)
        return 403

    service.between.watcher = close_and_say_nothing_of_it
    assert service.run("submit", folder).exit_code == 1
    service.between.watcher = lambda _: None
    service.between.requests.clear()

    again = service.run("submit", folder)

    assert again.exit_code == 0, again.stderr
    assert f"job {service.newest_job().id} has all of it already" in again.stderr
    assert "sent 9 files (9 of them earlier): 10 images\n" in again.stderr
    assert [what for what in service.between.requests if what[0] == "POST"] == []
    assert service.run("submit", folder).exit_code == 0
    assert service.between.sent("jobs") == 1, "asked for once more, it is sent anew"


def test_two_at_once_do_not_get_into_each_others_way(service: Served, folder: Path) -> None:
    second: list[Result] = []

    def send_the_same(environ: Environment) -> None:
        if environ["REQUEST_METHOD"] == "PATCH" and not second:
            second.append(service.run("submit", folder))

    service.between.watcher = send_the_same
    first = service.run("submit", folder)

    assert (first.exit_code, second[0].exit_code) == (0, 1)
    assert second[0].stderr == "Error: another `overread submit` is sending the same already\n"


def test_what_has_not_changed_is_not_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"content")
    source = Source("in/a.dcm", path)
    seen = path.stat()
    hashed = Hashed(source, seen.st_size, seen.st_mtime_ns, "ab" * 32)
    with Journal(tmp_path / "journal") as journal:
        journal.declared([(hashed, 7, 0, False)])
    with Journal(tmp_path / "journal") as journal:
        same = journal.hash_of(source, size=seen.st_size, modified_ns=seen.st_mtime_ns)
        assert same == "ab" * 32
        assert journal.hash_of(source, size=8, modified_ns=seen.st_mtime_ns) is None
        assert journal.hash_of(source, size=7, modified_ns=seen.st_mtime_ns + 1) is None
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0
