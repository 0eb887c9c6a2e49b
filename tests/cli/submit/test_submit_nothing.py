"""Where nothing can be sent no job is made, and the command says why."""

from pathlib import Path

import pytest

from models.intake.jobs import list_jobs
from tests.support.data.uploads import a_png
from tests.support.servers.served import Served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files that nobody can read, whoever runs the tests."""
    folder = tmp_path / "ward 4"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).symlink_to(f"gone-{name}")
    return folder


def jobs(service: Served) -> int:
    with service.portal.database.sessions() as session:
        return list_jobs(session).total


def test_files_that_cannot_be_read_make_no_job(service: Served, folder: Path) -> None:
    before = jobs(service)
    result = service.run("submit", folder, "--wait", "--json")

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "ward 4/a.png: cannot be read: No such file or directory",
        "ward 4/b.png: cannot be read: No such file or directory",
        "Error: nothing was sent: none of the 2 files could be read",
    ]
    assert result.stdout == ""
    assert jobs(service) == before
    assert service.between.requests == []
    notes = service.settings.data_dir / "of the sender" / "submissions"
    assert list(notes.iterdir()) == []

    (folder / "gone-a.png").write_bytes(a_png())
    assert service.run("submit", folder).exit_code == 1, "b.png cannot be read yet"
    assert jobs(service) == before + 1


@pytest.mark.parametrize("names", [(), (".hidden", "Thumbs.db")])
def test_a_folder_without_files_makes_no_job(
    service: Served, tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    before = jobs(service)
    result = service.run("submit", folder)

    assert result.exit_code == 2
    left_out = f" (left out: {len(names)} hidden or junk)" if names else ""
    assert result.stderr == f"Error: {folder}: there are no files in it{left_out}\n"
    assert jobs(service) == before
