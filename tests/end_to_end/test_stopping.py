"""A service leaves no processes or files behind, however it ends."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.data.builders import make_png
from tests.support.servers.service import Service, overread, still_alive, wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    prepared = Service(tmp_path)
    yield prepared
    prepared.end()


def test_ctrl_c_stops_processes_in_order(service: Service) -> None:
    service.start()
    processes = service.processes()
    assert all(map(service.find_all, ("valkey-server", "gunicorn", "-Q ingest", "-Q predict")))
    address = service.url.removeprefix("http://").split(":")

    assert service.interrupt() == 0

    # The kernel may take a moment to remove killed processes.
    wait_until(lambda: not still_alive(processes), what="the end of all")
    assert "was killed" not in service.log
    order = [
        service.log.index(sign)
        for sign in ("portal  | ", "Shutting down: Master", "Warm shutdown", "ready to exit")
    ]
    assert order == sorted(order), "portal, workers, broker"
    assert not (service.data_dir / "service.json").exists()
    with socket.socket() as client:
        assert client.connect_ex((address[0], int(address[1]))) != 0


def test_killed_supervisor_leaves_no_processes_and_killed_processes_are_restarted(
    service: Service, tmp_path: Path
) -> None:
    service.start()
    processes = service.processes()

    service.kill()

    wait_until(lambda: not still_alive(processes), what="the end of all")
    refused = overread(service.data_dir, "submit", make_png(tmp_path / "image.png"))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "start it with: overread up" in refused.stderr

    service.start()
    for sign in ("-Q predict", "valkey-server"):
        service.find(sign).kill()
    sent = service.run("submit", tmp_path / "image.png", "--wait", "--json")

    assert json.loads(sent.stdout)["status"] == "predicted", sent.stderr
    for name in ("predict", "broker"):
        words = f"{name} ended with -9; restarting"
        wait_until(lambda: words in service.log, what=words)  # noqa: B023


def test_demo_creates_private_data_folder(tmp_path: Path) -> None:
    done = overread(tmp_path / "data", "demo", "--studies", tmp_path / "nothing")
    assert done.returncode == 2
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
