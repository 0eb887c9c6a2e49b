"""No process resolves a host name, connects to another machine, or writes to the home folder.

Some libraries send telemetry or write settings and caches to the home folder by default.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.data.builders import make_png
from tests.support.imaging.networks import write_dataset
from tests.support.servers import packet_capture, run_one_upload
from tests.support.servers.packet_capture import NAMESPACE
from tests.support.servers.processes import ROOT
from tests.support.servers.service import OVERREAD, WITHIN_S, environment

pytestmark = pytest.mark.processes

# Variables that libraries read: signs of a CI job, and other folders for their files.
CI = ("CI", "TF_BUILD", "JENKINS_URL")
PLACES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "KERAS_HOME")
# HOME is unset and the user id has no passwd entry, as in a container started with a bare uid.
WITHOUT_HOME = ("env", "--unset=HOME", "unshare", "--user", "--map-user=54321", "--map-group=54321")
USERS: dict[str, tuple[str, ...]] = {"home": (), "no home": WITHOUT_HOME}
OFFENDING = """
import pathlib, socket
pathlib.Path.home().joinpath("id").touch()
for host in ("overread.example", "192.0.2.1"):
    try:
        socket.create_connection((host, 80), timeout=5)
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Traces:
    """packets: to other machines. files: in the home, working and temporary folders."""

    returncode: int
    output: str
    packets: list[str]
    files: list[Path]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    tried = [*NAMESPACE, *WITHOUT_HOME, "ip", "link", "show", "lo"]
    try:
        done = subprocess.run(tried, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no namespaces: {error}")
    if done.returncode:
        pytest.skip(f"no namespaces: {done.stderr.strip()}")


def run(folder: Path, *command: str | Path, user: tuple[str, ...] = ()) -> Traces:
    places = {name: folder / name for name in ("HOME", "PWD", "TMPDIR")}
    for place in places.values():
        place.mkdir()
    plain = environment(folder / "data", decode_processes="1")
    given = {name: value for name, value in plain.items() if name not in (*CI, *PLACES)}
    given |= {name: str(place) for name, place in places.items()} | {"PYTHONPATH": str(ROOT)}
    packets = folder / "packets"
    done = subprocess.run(
        [*NAMESPACE, sys.executable, packet_capture.__file__, packets, *user, *command],
        cwd=places["PWD"],
        env=given,
        capture_output=True,
        text=True,
        timeout=4 * WITHIN_S,  # more than its waits together
        check=False,
    )
    files = [path for place in places.values() for path in place.rglob("*")]
    return Traces(
        done.returncode, done.stdout + done.stderr, packets.read_text().splitlines(), files
    )


def assert_no_traces(traces: Traces) -> None:
    assert traces.returncode == 0, traces.output
    assert traces.packets == []
    assert traces.files == []


def test_lookups_connections_and_files_are_detected(tmp_path: Path) -> None:
    traces = run(tmp_path, sys.executable, "-c", OFFENDING)
    assert [path.name for path in traces.files] == ["id"]
    assert any(" port 53: " in line and "overread.example" in line for line in traces.packets)
    assert any(line.startswith("TCP 192.0.2.1 port 80") for line in traces.packets)


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_predict_leaves_no_traces(user: tuple[str, ...], tmp_path: Path) -> None:
    image = make_png(tmp_path / "image.png")
    traces = run(tmp_path, *OVERREAD, "predict", image, "--json", user=user)
    assert_no_traces(traces)
    assert '"status": "predicted"' in traces.output


def test_doctor_leaves_no_traces(tmp_path: Path) -> None:
    assert_no_traces(run(tmp_path, *OVERREAD, "doctor"))


def test_evaluate_leaves_no_traces(tmp_path: Path) -> None:
    images = write_dataset(tmp_path / "images", patients=2)
    report = tmp_path / "report"
    assert_no_traces(
        run(tmp_path, *OVERREAD, "evaluate", images, "--split", "train", "--report", report)
    )
    assert (report / "index.html").exists()


def test_service_leaves_no_traces(tmp_path: Path) -> None:
    image = make_png(tmp_path / "image.png")

    def serve(name: str) -> Traces:
        (folder := tmp_path / name / "service").mkdir(parents=True)
        module = (sys.executable, "-m", run_one_upload.__name__)
        return run(folder.parent, *module, folder, image, user=USERS[name])

    # Most of a start is waiting for processes, so both services run at once.
    with ThreadPoolExecutor() as pool:
        for traces in pool.map(serve, USERS):
            assert_no_traces(traces)
            assert '"status": "predicted"' in traces.output
