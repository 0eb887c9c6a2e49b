"""The service as a user sees it, by its commands."""

import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.phantom.studies import write_phantom_studies
from tests.end_to_end.conftest import follow_link, login_link
from tests.support.data.builders import make_picture, make_png
from tests.support.servers.processes import hearing_ctrl_c
from tests.support.servers.service import (
    OVERREAD,
    WITHIN_S,
    Service,
    environment,
    overread,
    wait_until,
)
from tests.support.servers.stalling_proxy import StallingProxy

pytestmark = pytest.mark.processes

CHUNK = 8 * 2**20
CHUNKS = 3
ANSWER = ("status", "reason", "finding", "warnings", "model_version", "operating_point")
FIGURES = (
    "probability",
    "threshold",
    "unfamiliarity",
    "temperature",
    "heatmap_peak",
    "heatmap_concentration",
    "heatmap_inside_body",
    "reason_code",
    "population",
)


def rows(printed: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = [json.loads(line) for line in printed.splitlines()]
    by_file = {(row["file"], row["sha256"]): row for row in found}
    assert len(by_file) == len(found), "a file appears twice"
    return by_file


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms, one of them twice, a zip, a text, junk."""
    folder = tmp_path_factory.mktemp("upload") / "studies"
    files = write_phantom_studies(folder, studies=6)
    (folder / "again").write_bytes(files[0].read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / ".DS_Store").write_bytes(b"junk")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(make_png(folder.parent / "zipped.png"), "packed/zipped.png")
    return folder


def test_submit_and_predict_give_equal_results(service: Service, studies: Path) -> None:
    sent = service.run("submit", studies, "--wait", "--json")
    read = service.run("predict", studies, "--jsonl")

    assert (sent.returncode, read.returncode) == (1, 1), sent.stderr + read.stderr
    assert "left out: 1 hidden or junk" in sent.stderr
    assert "left out: 1 hidden or junk" in read.stderr
    stored, predicted = rows(sent.stdout), rows(read.stdout)
    assert stored.keys() == predicted.keys()
    assert {"studies/notes.txt", "studies/again", "studies/more.zip/packed/zipped.png"} < {
        f for f, _ in stored
    }
    for key, row in stored.items():
        assert {name: row[name] for name in ANSWER} == {
            name: predicted[key][name] for name in ANSWER
        }
        assert [row[name] for name in FIGURES] == pytest.approx(
            [predicted[key][name] for name in FIGURES], abs=1e-5
        )
    (refused,) = [row for row in stored.values() if row["status"] == "rejected"]
    assert refused["reason"].startswith("notes.txt: ")


def test_results_lists_and_saves(
    service: Service, program: httpx.Client, studies: Path, tmp_path: Path
) -> None:
    sent = service.run("submit", studies, "--name", "saved", "--json")
    job_id = json.loads(sent.stdout)["id"]
    path = f"/api/v1/jobs/{job_id}"
    wait_until(lambda: program.get(path).json()["finished"], what="the job's end")
    assert "finished" in service.run("jobs", job_id).stdout

    assert sent.returncode == 0
    assert job_id in service.run("jobs").stdout
    output = tmp_path / "results.csv"
    saved = service.run("results", "--job", job_id, "--format", "csv", "--output", output)
    listed = service.run("results", "--job", job_id, "--format", "jsonl")
    assert saved.returncode == listed.returncode == 0
    assert len(output.read_text().splitlines()) == 1 + len(rows(listed.stdout))
    assert "notes.txt" in service.run("results", "--job", job_id).stdout
    assert service.run("results", "--job", "nosuchjob").returncode == 2


@dataclass
class Sender:
    """`overread submit` through a proxy that stalls in the middle of an upload."""

    service: Service
    proxy: StallingProxy
    arguments: tuple[str | Path, ...]

    def begin(self) -> subprocess.Popen[str]:
        with hearing_ctrl_c():
            return subprocess.Popen(
                [*OVERREAD, "submit", *map(str, self.arguments)],
                env=environment(self.service.data_dir, **self._remote()),
                stderr=subprocess.PIPE,
                text=True,
            )

    def again(self, *options: str) -> subprocess.CompletedProcess[str]:
        """To the end."""
        self.proxy.release()
        data_dir, remote = self.service.data_dir, self._remote()
        return overread(data_dir, "submit", *self.arguments, *options, timeout_s=WITHIN_S, **remote)

    def _remote(self) -> dict[str, str]:
        return {"url": self.proxy.url, "token": self.service.token}


def all_jobs(program: httpx.Client) -> list[dict[str, Any]]:
    """The newest first."""
    jobs: list[dict[str, Any]] = program.get("/api/v1/jobs").json()["jobs"]
    return jobs


def test_interrupted_submit_resumes_its_job(
    service: Service, program: httpx.Client, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    pictures = [make_png(tmp_path / f"{n}.png", make_picture(top=100 + n)) for n in range(4)]
    for number in range(320):
        place = folder / f"patient{number % 10}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pictures[number % 4].read_bytes())
    size = sum(path.stat().st_size for path in folder.rglob("*.png"))
    jobs_before = len(all_jobs(program))

    def newest_job() -> dict[str, Any]:
        jobs = all_jobs(program)
        return jobs[0] if len(jobs) > jobs_before else {"total": 0}

    # Two of five batches have arrived by then, whichever way they shared the connection.
    with StallingProxy(service.url, after=size * 7 // 10) as proxy:
        sender = Sender(service, proxy, (folder,))
        with sender.begin() as cut_off:
            wait_until(lambda: newest_job()["total"] >= 64, what="the first files")
            cut_off.kill()
        assert newest_job()["total"] < 320
        assert newest_job()["closed_at"] is None

        again = sender.again("--wait", "--json")

        assert f"resuming job {newest_job()['id']}" in again.stderr
        assert again.returncode == 0
        assert len(rows(again.stdout)) == 320
        assert len(all_jobs(program)) == jobs_before + 1
        assert sender.again("--json").stdout.count(newest_job()["id"]) == 1, "a new job"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and a file of many chunks."""
    folder = tmp_path_factory.mktemp("upload") / "large"
    folder.mkdir()
    make_png(folder / "a.png")
    (folder / "large.bin").write_bytes(os.urandom(CHUNKS * CHUNK + 1000))
    return folder


@contextmanager
def submitting(
    service: Service, program: httpx.Client, folder: Path, *, name: str
) -> Iterator[tuple[Sender, subprocess.Popen[str]]]:
    """In the middle of its large file."""
    with StallingProxy(service.url, after=CHUNK * 3 // 2) as proxy:
        sender = Sender(service, proxy, (folder, "--name", name))
        with sender.begin() as process:
            wait_until(lambda: is_midway(program, name), what="a chunk of the large file")
            yield sender, process


def is_midway(program: httpx.Client, name: str) -> bool:
    for job in all_jobs(program):
        if job["name"] == name:
            answer = program.get(f"/api/v1/jobs/{job['id']}/uploads", params={"state": "missing"})
            return any(upload["received"] > 0 for upload in answer.json()["uploads"])
    return False


def test_submit_survives_portal_restart(
    service: Service, program: httpx.Client, large: Path
) -> None:
    with submitting(service, program, large, name="the portal dies") as (sender, process):
        for part in service.find_all("gunicorn"):
            part.kill()
        sender.proxy.release()
        _, said = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, said
    assert "the service does not answer; trying again" in said
    assert "sent 2 files: 2 images" in said
    newest = all_jobs(program)[0]
    assert (newest["name"], newest["total"], newest["missing"]) == ("the portal dies", 2, 0)


def test_ctrl_c_during_upload_can_be_resumed(
    service: Service, program: httpx.Client, large: Path
) -> None:
    with submitting(service, program, large, name="stopped") as (sender, process):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 130, said
        assert said.splitlines()[-1] == "Error: interrupted; run the same command again to resume"

        again = sender.again()

    assert again.returncode == 0, again.stderr
    assert "resuming job" in again.stderr
    assert "sent 2 files (1 of them earlier): 2 images" in again.stderr


def test_second_up_prints_running_url(service: Service) -> None:
    second = service.run("up")

    assert second.returncode == 0
    assert f"Already running at {service.url}" in second.stdout
    assert "overread login-link" in second.stdout
    assert "#" not in second.stdout + service.output, "links are printed to terminals only"
    link = login_link(service)
    with httpx.Client(follow_redirects=True, timeout=WITHIN_S) as browser:
        assert follow_link(browser, link).is_success
        assert browser.get(service.url).is_success
    with httpx.Client(timeout=WITHIN_S) as browser:
        assert follow_link(browser, link).status_code == 403, "valid for one login"


def test_doctor_passes_on_running_service(service: Service) -> None:
    healthy = service.run("doctor")

    assert healthy.returncode == 0, healthy.stdout
    password = json.loads((service.data_dir / "secrets.json").read_text())["broker_password"]
    assert "********@" in healthy.stdout
    assert password not in healthy.stdout
