"""`overread submit` on the service's own machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.lockfile import RunningService, announce, hold_data_folder
from cli.submit.handover import HandOver, find_hand_over
from tests.support.data.uploads import a_png, files_in
from tests.support.servers.command import run
from tests.support.servers.portal_server import ServedPortal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    for number in range(70):
        (folder / f"{number:02}.png").write_bytes(a_png(seed=number))
    return folder


@pytest.fixture
def here(service: ServedPortal) -> Iterator[dict[str, str]]:
    """In which commands find the portal as one of this machine."""
    store, data_dir = service.portal.context.store, service.settings.data_dir
    spool = store.make_folder(store.temporary)
    with hold_data_folder(data_dir):
        announce(data_dir, RunningService(service.url, "", "", 1, handover=str(spool)))
        yield {"OVERREAD_DATA": str(data_dir), "OVERREAD_TOKEN": service.token}


def test_files_are_handed_over_and_no_copy_is_left(
    service: ServedPortal, folder: Path, here: dict[str, str]
) -> None:
    result = run("submit", folder, **here)
    assert result.exit_code == 0, result.stderr
    job = service.newest_job()
    assert (job.declared, job.missing, job.total) == (70, 0, 70)
    assert service.interceptor.sent("POST", "handed-over") == 2
    assert service.interceptor.sent("PATCH", "uploads") == 0
    assert files_in(service.portal.context.store, "temporary") == []


def test_files_are_sent_where_no_copy_can_be_made(
    service: ServedPortal, folder: Path, here: dict[str, str]
) -> None:
    no_folder = str(folder / "00.png")
    announce(service.settings.data_dir, RunningService(service.url, "", "", 1, handover=no_folder))
    result = run("submit", folder, **here)
    assert result.exit_code == 0, result.stderr
    assert service.newest_job().total == 70
    assert service.interceptor.sent("PATCH", "uploads") == 2


def test_copies_are_private_and_deleted_at_the_end(tmp_path: Path) -> None:
    with HandOver(tmp_path).put({1: b"a", 2: b"b"}):
        assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600] * 2
    assert list(tmp_path.iterdir()) == []


def test_files_are_handed_over_to_a_service_of_the_same_user_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_hand_over(str(tmp_path)) is not None
    assert find_hand_over("") is None
    assert find_hand_over(str(tmp_path / "gone")) is None
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert find_hand_over(str(tmp_path)) is None
