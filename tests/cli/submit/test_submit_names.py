"""Whatever files are called, they arrive, and no terminal takes their names for commands."""

import os
from pathlib import Path

import pytest

from tests.support.data.uploads import a_png
from tests.support.servers.command import run
from tests.support.servers.served import Served

NAMES = [b'quo"te.png', b"per%22cent.png", b"back\\slash.png", b"two\nlines.png", b"\x1b[31m.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate([*NAMES, b"latin\xe9.png", "u\u0308.png".encode(), b" .png "]):
        (tmp_path / os.fsdecode(name)).write_bytes(a_png(seed=number))
    return tmp_path


def test_every_name_arrives(service: Served, folder: Path) -> None:
    (folder / "broken\x1b]0;title\x07").symlink_to("nowhere")

    result = service.run("submit", folder)

    assert "sent 8 files: 8 images, 1 could not be sent" in result.stderr
    assert "broken\ufffd]0;title\ufffd: cannot be read" in result.stderr
    job = service.newest_job()
    assert (job.declared, job.missing, job.total) == (8, 0, 8)


def test_a_folder_with_an_odd_name_names_its_job(service: Served, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"ward\xe9\x1b[31m")
    folder.mkdir()
    (folder / "a.png").write_bytes(a_png())

    result = service.run("submit", folder)

    assert result.exit_code == 0, result.stderr
    assert service.newest_job().name == "ward\ufffd\ufffd[31m"


def test_an_empty_variable_is_not_the_current_folder(service: Served) -> None:
    result = service.run("submit", "")

    assert result.exit_code == 2
    assert "it is empty" in result.stderr
    assert service.between.requests == []


def test_notes_that_cannot_be_kept_are_told_in_one_line(service: Served, folder: Path) -> None:
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
        f"Error: the notes of what was sent, in {data}/submissions, cannot be used: "
        "Not a directory; OVERREAD_DATA may name another folder\n"
    )
