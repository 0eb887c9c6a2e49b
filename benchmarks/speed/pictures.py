"""Whether one large image stops the portal: many ask for it at once while `/healthz` is polled.

    python -m benchmarks.speed.pictures [--requests 40] [--side 7200]

Starts a portal alone, with one image of side x side pixels in its store. Those that get 503 wait as
long as it says and ask again. Prints the slowest answer of `/healthz`, the memory of the portal
(which the decoders' is no part of) and the time until everybody has the picture.
"""

import argparse
import io
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen

import httpx
import numpy as np
import psutil
from PIL import Image as Pillow

from cli.service.processes import portal
from cli.service.start import usable_port
from models.config.settings import Settings
from models.files.store import FileStore
from models.intake.images import NewImage, add_images
from models.intake.jobs import create_job
from models.operations.upgrade import upgrade
from models.people.tokens import issue_token
from models.people.users import make_user
from models.session import Sessions, open_database
from models.tables.intake import State
from models.tables.people import Role

HOST = "127.0.0.1"
POLL_INTERVAL_S = 0.05
TIMEOUT_S = 600
IDLE_S = 10  # a busy machine is slow without any request


class Watch:
    """Polls `/healthz` and the memory of the portal in the background."""

    def __init__(self, url: str, process_id: int) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._portal = psutil.Process(process_id)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.slowest_s = self.portal_mib = self.decoders_mib = 0.0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        is_watching = self._thread.is_alive()
        self._over.set()
        self._thread.join()
        if not is_watching and error[0] is None:
            raise SystemExit("the portal was not watched to the end")

    def _watch(self) -> None:
        while not self._over.wait(POLL_INTERVAL_S):
            began = time.perf_counter()
            self._client.get("/healthz")
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            everyone = [self._portal, *self._portal.children(recursive=True)]
            decoders = [one for one in everyone if _is_decoder(one)]
            self.portal_mib = max(self.portal_mib, _mib(set(everyone) - set(decoders)))
            self.decoders_mib = max(self.decoders_mib, _mib(set(decoders)))


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return "pipeline.prepare" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--side", type=int, default=7200, help="of the image, in pixels")
    arguments = parser.parse_args()
    sys.setswitchinterval(0.001)  # the poller waits for its turn among the clients
    with tempfile.TemporaryDirectory(prefix="overread-pictures-") as scratch:
        settings = Settings(data=Path(scratch) / "data")
        settings.data_dir.mkdir()
        upgrade(settings)
        with open_database(settings) as sessions:
            token = _fill(sessions, FileStore(settings.files_dir), side=arguments.side)
        _measure(settings, token, requests=arguments.requests)


def _fill(sessions: Sessions, store: FileStore, *, side: int) -> str:
    """Store one image, as a worker would have left it. Returns a viewer's token."""
    ramp = np.linspace(0, 200, side, dtype=np.float32)
    noise = np.random.default_rng(1).integers(0, 40, (side, side), np.uint8)
    target = io.BytesIO()
    pixels = ramp[None, :].astype(np.uint8) + noise
    Pillow.fromarray(pixels).save(target, "PNG", compress_level=1)
    stored = store.put_bytes(target.getvalue())
    with sessions.begin() as session:
        user = make_user(session, name="viola", role=Role.VIEWER)
        job_id, _ = create_job(session, name="large", user_id=user.id, key="")
        new = NewImage("large.png", stored.sha256, stored.size)
        (image,) = add_images(session, job_id=job_id, new=[new])
        image.stored_sha256, image.state = stored.sha256, State.READY
        return issue_token(session, user=user, kind="api")


def _measure(settings: Settings, token: str, *, requests: int) -> None:
    port = usable_port(HOST, 0)
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", *portal(host=HOST, port=port).command]
    with Popen(command, env={"OVERREAD_DATA": str(settings.data_dir)}) as process:
        try:
            _wait_until_up(url)
            statuses: Counter[int] = Counter()
            client = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=TIMEOUT_S,
                limits=httpx.Limits(max_connections=None),
            )
            with Watch(url, process.pid) as idle:
                time.sleep(IDLE_S)
            with client, Watch(url, process.pid) as watch, ThreadPoolExecutor(requests) as threads:
                began = time.perf_counter()
                list(threads.map(lambda _: _get_picture(client, statuses), range(requests)))
                seconds = time.perf_counter() - began
        finally:
            process.terminate()
    print(f"{requests} requests answered with the picture after {seconds:.1f} s: {dict(statuses)}")
    print(f"slowest /healthz: {watch.slowest_s:.3f} s; without requests {idle.slowest_s:.3f} s")
    print(f"portal: at most {watch.portal_mib:.0f} MiB; decoders: {watch.decoders_mib:.0f} MiB")


def _get_picture(client: httpx.Client, statuses: Counter[int]) -> None:
    while True:
        answer = client.get("/api/v1/images/1/display")
        statuses[answer.status_code] += 1
        if answer.status_code != 503:
            answer.raise_for_status()
            return
        time.sleep(float(answer.headers["Retry-After"]))


def _wait_until_up(url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{url}/healthz", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the portal did not start")


def _mib(processes: set[psutil.Process]) -> float:
    total = 0.0
    for one in processes:
        try:
            total += one.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
