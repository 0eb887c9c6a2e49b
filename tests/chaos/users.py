"""What users do while faults are injected: cancel, retry, close, purge, back up."""

import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Self

from sqlalchemy import func, select

from models.intake.uploads import uploads_of_jobs
from models.session import AWAY
from models.tables.intake import Image, Job
from tests.chaos.rig import Rig
from tests.support.data.uploads import a_png
from tests.support.servers.service import overread

PAUSES_S = (0.3, 2.0)
TIMEOUT_S = 60.0  # while the service is down
SIDE = "side"  # jobs of this name are sent and purged while faults are injected
SIDE_FIRST_SEED = 50_000  # no image of the main job has such bytes


class Users:
    """Act at random moments, independently of faults. done: successful actions by name."""

    def __init__(self, rig: Rig, *, choose: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._rig, self._choose = rig, choose
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._act)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what was started."""
        self._over.set()
        self._thread.join()
        self._purge_side_jobs()
        self._cancel_and_retry()

    def _act(self) -> None:
        actions: dict[str, Callable[[], bool]] = {
            "cancelled and retried": self._cancel_and_retry,
            "retried failed images": self._retry_failed,
            "refused to close early": self._close,
            "sent, cancelled and purged": self._send_and_purge,
            "backed up": lambda: self._try("backup", self._rig.folder / "backup"),
        }
        names = cycle(self._choose.sample(sorted(actions), len(actions)))
        while not self._over.wait(self._choose.uniform(*PAUSES_S)):
            name = next(names)
            self.done[name] += actions[name]()

    def _cancel_and_retry(self) -> bool:
        """Not while it is being sent: a sender whose job is cancelled starts another one."""
        job_id = self._main_job()
        if job_id is None or self._rig.sender.is_alive():
            return False
        was_done = self._try("jobs", job_id, "--cancel")
        time.sleep(self._choose.uniform(0, 1))
        return self._retry_all() and was_done

    def _retry_failed(self) -> bool:
        job_id = self._main_job()
        return job_id is not None and self._try("jobs", job_id, "--retry", "failed")

    def _close(self) -> bool:
        """Refused while declared files are missing."""
        job_id = self._main_job()
        with suppress(*AWAY), self._rig.sessions() as session:
            if job_id is not None and uploads_of_jobs(session, [job_id])[job_id].missing:
                return not self._try("jobs", job_id, "--close")
        return False

    def _send_and_purge(self) -> bool:
        self._try("submit", self._side_folder(), "--name", SIDE)
        return self._purge_side_jobs()

    def _side_folder(self) -> Path:
        """Some of its files are also in the main job."""
        folder = self._rig.folder / SIDE / str(len(list(self._rig.folder.glob(f"{SIDE}/*"))))
        folder.mkdir(parents=True)
        first = SIDE_FIRST_SEED + self._choose.randrange(10_000)
        for seed in range(first, first + 6):
            (folder / f"{seed}.png").write_bytes(a_png(seed=seed))
        for shared in self._choose.sample(sorted(self._rig.upload.glob("patient*/*")), 3):
            shutil.copy(shared, folder)
        return folder

    def _purge_side_jobs(self) -> bool:
        deadline = time.monotonic() + TIMEOUT_S
        while jobs := self._jobs(SIDE):
            for job_id in jobs:
                self._try("jobs", job_id, "--cancel")
                self._try("purge", "--job", job_id, "--yes")
            if time.monotonic() > deadline:
                return False
        return True

    def _main_job(self) -> str | None:
        return next(iter(self._jobs(self._rig.upload.name)), None)

    def _jobs(self, name: str) -> list[str]:
        """Ids, most images first."""
        jobs = select(Job.id).outerjoin(Image).where(Job.name == name).group_by(Job.id)
        with suppress(*AWAY), self._rig.sessions() as session:
            return list(session.scalars(jobs.order_by(func.count(Image.id).desc())))
        return []

    def _retry_all(self) -> bool:
        """Even if cancelling seemed to fail: it may have succeeded."""
        deadline = time.monotonic() + TIMEOUT_S
        while job_id := self._main_job():
            if self._try("jobs", job_id, "--retry", "all"):
                return True
            if time.monotonic() > deadline:
                break
        return False

    def _try(self, *arguments: str | Path) -> bool:
        with suppress(subprocess.TimeoutExpired):
            done = overread(
                self._rig.data_dir,
                *arguments,
                timeout_s=TIMEOUT_S,
                database_url=self._rig.settings.database_url,
            )
            with (self._rig.folder / "users.log").open("a") as log:
                log.write(f"{arguments[:3]}: {done.returncode} {done.stderr}\n")
            return done.returncode == 0
        return False
