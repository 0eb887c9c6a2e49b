"""However it ends, nothing is left behind."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.data.builders import make_png
from tests.support.servers.service import Service, overread, still_alive, wait_until

pytestmark = pytest.mark.processes

WITHIN_S = 300.0  # on the slowest machine


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    prepared = Service(tmp_path)
    yield prepared
    prepared.end()


def test_ctrl_c_stops_in_order_and_leaves_nothing(service: Service) -> None:
    service.start()
    processes = service.processes()
    assert all(map(service.find_all, ("valkey-server", "gunicorn", "-Q ingest", "-Q predict")))
    address = service.url.removeprefix("http://").split(":")

    assert service.interrupt() == 0

    # Killed helpers may take the kernel a moment.
    wait_until(lambda: not still_alive(processes), within_s=WITHIN_S, what="the end of all")
    assert "was killed" not in service.log
    order = [
        service.log.index(sign)
        for sign in ("portal  | ", "Shutting down: Master", "Warm shutdown", "ready to exit")
    ]
    assert order == sorted(order), "portal, workers, broker"
    assert not (service.data_dir / "service.json").exists()
    with socket.socket() as client:
        assert client.connect_ex((address[0], int(address[1]))) != 0


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(
    service: Service, tmp_path: Path
) -> None:
    service.start()
    processes = service.processes()

    service.kill()

    wait_until(lambda: not still_alive(processes), within_s=WITHIN_S, what="the end of all")
    nobody = overread(service.data_dir, "submit", make_png(tmp_path / "picture.png"))
    assert nobody.returncode == 2
    assert nobody.stderr.count("\n") == 1
    assert "start it with: overread up" in nobody.stderr
    service.start()
    sent = service.run("submit", tmp_path / "picture.png", "--wait", "--json")
    assert json.loads(sent.stdout)["status"] == "predicted", sent.stderr


def test_processes_that_end_are_started_again(service: Service, tmp_path: Path) -> None:
    service.start()
    for sign in ("-Q predict", "valkey-server"):
        service.find(sign).kill()
    sent = service.run("submit", make_png(tmp_path / "picture.png"), "--wait", "--json")

    assert json.loads(sent.stdout)["status"] == "predicted", sent.stderr
    for name in ("predict", "broker"):
        words = f"{name} ended with -9; restarting"
        wait_until(lambda: words in service.log, within_s=WITHIN_S, what=words)  # noqa: B023


def test_the_demo_makes_a_data_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    """Before it draws or reads anything."""
    done = overread(tmp_path / "data", "demo", "--studies", tmp_path / "nothing")
    assert done.returncode == 2
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
