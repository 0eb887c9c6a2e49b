"""How long one image takes through the running service, alone and beside a backlog.

    python -m benchmarks.speed.one_image FOLDER [--images 40] [--backlog FOLDER]

Starts a service of its own and sends images one after another, each in a job of its own: create
the job, send the file as a form, close the job, ask for its end with `Prefer: wait`. Prints p50 and
p95 of the whole and of its parts: requests as the client saw them, stages by the service's log.
--backlog: beside a job of that folder's files, from when some have arrived until all are predicted.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.throughput import OVERREAD, running_service

WAIT_S = 4
PAUSE_S = 0.3  # between two images
BACKLOG_IMAGES = 300  # must have arrived before the first image is sent
# The portal's and the worker's lines about a job, in order: what has ended with each.
MARKS = {
    "nudged overread.ingest": "begin to nudge",
    " images claimed": "nudge to claim",
    " images recorded": "claim to recorded",
}

Parts = dict[str, float]  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--backlog", type=Path)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    files = [path for path in files if path.suffix != ".csv"][: arguments.images]
    with tempfile.TemporaryDirectory(prefix="overread-one-image-") as scratch:
        environment = os.environ | {
            "OVERREAD_DATA": f"{scratch}/data",
            "OVERREAD_PORT": "0",
            "OVERREAD_LOG_FORMAT": "json",
        }
        print(f"load {os.getloadavg()[0]:.1f}", flush=True)
        with running_service(environment, Path(scratch)), connected(environment) as api:
            if arguments.backlog:
                jobs = list(beside_backlog(api, environment, arguments.backlog, files))
            else:
                jobs = list(send_each(api, files))
        report(jobs, list(read_log(Path(scratch) / "service.log")))


@contextmanager
def connected(environment: dict[str, str]) -> Iterator[httpx.Client]:
    service = json.loads((Path(environment["OVERREAD_DATA"]) / "service.json").read_text())
    token = Path(service["token_file"]).read_text().strip()
    with httpx.Client(base_url=service["url"], timeout=60, trust_env=False) as api:
        api.headers["Authorization"] = f"Bearer {token}"
        yield api


def send_each(api: httpx.Client, files: Iterable[Path]) -> Iterator[tuple[str, Parts]]:
    """The first one, which opens connections, is left out."""
    for number, file in enumerate(files):
        job = send_one(api, file)
        if number:
            yield job
        time.sleep(PAUSE_S)


def send_one(api: httpx.Client, file: Path) -> tuple[str, Parts]:
    """Return the job and how long its requests took."""
    content, moments = file.read_bytes(), [time.time()]
    job_id = ask(api, "POST", "/api/v1/jobs", json={"name": file.name})["id"]
    moments.append(time.time())
    path = f"/api/v1/jobs/{job_id}"
    ask(api, "POST", f"{path}/files", files={"files": (file.name, content)})
    moments.append(time.time())
    ask(api, "POST", f"{path}/close", json={})
    moments.append(time.time())
    while not ask(api, "GET", path, headers={"Prefer": f"wait={WAIT_S}"})["finished"]:
        pass
    moments.append(time.time())
    names = ("create the job", "send the file", "close the job", "wait for its end")
    parts = {name: end - start for name, (start, end) in zip(names, pairwise(moments), strict=True)}
    return job_id, {"whole": moments[-1] - moments[0]} | parts | {"began at": moments[0]}


def ask(api: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = api.request(method, path, **options).raise_for_status().json()
    return answer


def beside_backlog(
    api: httpx.Client, environment: dict[str, str], backlog: Path, files: Iterable[Path]
) -> Iterator[tuple[str, Parts]]:
    """Ends early when the backlog does."""
    with subprocess.Popen([*OVERREAD, "submit", str(backlog)], env=environment) as sender:
        while not (jobs := ask(api, "GET", "/api/v1/jobs")["jobs"]):
            time.sleep(0.1)
        path = f"/api/v1/jobs/{jobs[0]['id']}"
        while ask(api, "GET", path)["received"] < BACKLOG_IMAGES and sender.poll() is None:
            time.sleep(0.1)
        for job in send_each(api, files):
            counts = ask(api, "GET", path)
            if counts["finished"]:
                break
            yield job
        print(f"backlog: {counts['received']} of {counts['total']} images left")
        sender.kill()


def read_log(log: Path) -> Iterator[tuple[float, str, list[str]]]:
    """Yield the moment, the message and the jobs of lines about jobs."""
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        if jobs := entry.get("jobs"):
            moment = datetime.fromisoformat(entry["time"]).astimezone(UTC)
            yield moment.timestamp(), entry["message"], jobs


def report(jobs: list[tuple[str, Parts]], log: list[tuple[float, str, list[str]]]) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    for job_id, parts in jobs:
        moment = parts.pop("began at")
        stages = {}
        for sign, name in MARKS.items():
            later = (at for at, text, ids in log if sign in text and job_id in ids and at > moment)
            if (found := next(later, None)) is not None:
                stages[name], moment = found - moment, found
        for name, took_s in (parts | stages).items():
            times[name].append(1000 * took_s)
    print(f"{len(jobs)} images{'':18}{'fastest':>8}{'p50':>8}{'p95':>8}   ms")
    for name, took in times.items():
        p50, p95 = np.percentile(took, [50, 95])
        print(f"{name:27}{min(took):8.1f}{p50:8.1f}{p95:8.1f}")


if __name__ == "__main__":
    main()
