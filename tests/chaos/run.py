"""One job under injected faults, on one database or both."""

import argparse
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.files import make_files
from tests.chaos.injector import Injection, inject, plan
from tests.chaos.process_faults import kill_last_predictor
from tests.chaos.rig import Rig, open_rig
from tests.chaos.users import Users
from tests.chaos.verdict import Verdict, judge

DATABASES = ("sqlite", "postgresql")
TIMEOUT_S = 120.0  # without progress; then whatever still waits counts as lost
NO_DISK = "disk full: no file system can be mounted here; the data folder was on this disk"
SHOWN = 20  # losses that are named


def main() -> None:
    options = _options()
    databases = DATABASES if options.database == "both" else (options.database,)
    _print(f"seed {options.seed}")
    counts = [run_on(database, options) for database in databases]
    losses = sum(count for _, count in counts)
    _print("", f"{sum(count for count, _ in counts)} faults, losses: {losses}")
    sys.exit(1 if losses else 0)


def run_on(database: str, options: argparse.Namespace) -> tuple[int, int]:
    """Print what happened; return the numbers of faults and of losses."""
    images, choose = options.images, random.Random(f"{options.seed} {database}")
    one_step = not options.two_steps
    with tempfile.TemporaryDirectory(prefix="overread-chaos-") as folder:
        upload = Path(folder) / "upload"
        sent = make_files(upload, images, seed=options.seed)
        opened = open_rig(
            Path(folder) / "rig", upload, database=database, one_step=one_step, images=images
        )
        with opened as rig:
            try:
                faults = plan(
                    options.faults,
                    database=database,
                    one_step=one_step,
                    has_disk=rig.has_disk,
                    choose=choose,
                )
                users = Users(rig, choose=random.Random(options.seed))
                with nullcontext() if options.no_users else users:
                    injections = inject(rig, faults, images=images, choose=choose)
                is_last_killed = kill_last_predictor(rig)
                _wait_for_the_end(rig, images)
                rig.end()
                verdict = judge(rig, sent, injections)
                idle = [] if is_last_killed else ["it held no images"]
                verdict.add("last predict worker", "killed", idle)
                _add_circumstances(verdict, rig, users, left=len(faults) - len(injections))
            finally:
                _keep_logs(rig, options.logs, name=database)
            how = "one step" if one_step else "two steps"
            seed, machine = options.seed, platform.machine()
            head = f"{database}, {how}, seed {seed}, {machine}, {rig.seconds:.0f} s"
            _print("", head, *_report(database, injections, verdict))
    return len(injections), len(verdict.losses)


def _wait_for_the_end(rig: Rig, total: int) -> None:
    """Until every image has a final state, or nothing changes for TIMEOUT_S."""
    finished, since = -1, rig.seconds
    while rig.finished() < total or rig.sender.is_alive():
        if rig.finished() != finished:
            finished, since = rig.finished(), rig.seconds
        if rig.seconds - since > TIMEOUT_S:
            rig.say(f"no progress, {total - finished} images wait")
            return
        time.sleep(0.2)
    rig.say("every image has a final state")


def _add_circumstances(verdict: Verdict, rig: Rig, users: Users, *, left: int) -> None:
    sender = rig.sender
    verdict.add("submit started", f"{sender.starts} times, all sent after {sender.took_s:.0f} s")
    for action, times in users.done.items():
        verdict.add("users", f"{action} {times} times")
    if left:
        verdict.add("not done", f"{left} faults: no target left")
    if not rig.has_disk:
        verdict.add("not done", NO_DISK)


def _report(database: str, injections: Sequence[Injection], verdict: Verdict) -> Iterator[str]:
    times = Counter(injection.fault for injection in injections)
    yield f"{'fault':<34}{'times':>6}{'losses':>8}"
    for fault in FAULTS:
        if fault.database in ("", database):
            yield f"{fault.name:<34}{times[fault.name]:>6}{verdict.by_fault[fault.name]:>8}"
    yield f"{'all':<34}{len(injections):>6}{len(verdict.losses):>8}"
    yield ""
    yield from verdict.facts
    yield from (f"LOST  {loss}" for loss in verdict.losses[:SHOWN])
    if len(verdict.losses) > SHOWN:
        yield f"LOST  and {len(verdict.losses) - SHOWN} more"


def _keep_logs(rig: Rig, logs: Path | None, *, name: str) -> None:
    if logs is None:
        return
    (logs / name).mkdir(parents=True, exist_ok=True)
    for log in ("log", "sender.log", "users.log", "output"):
        if (rig.folder / log).exists():
            shutil.copy(rig.folder / log, logs / name)


def _print(*texts: str) -> None:
    sys.stdout.writelines(f"{text}\n" for text in texts)
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    seed = random.SystemRandom().randrange(10**6)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--two-steps", action="store_true", help="ingest predicts nothing")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=60, help="on each database")
    parser.add_argument("--seed", type=int, default=seed, help="default: random; it is printed")
    parser.add_argument("--no-users", action="store_true", help="no user actions")
    parser.add_argument("--logs", type=Path, help="keep the service's and the sender's logs here")
    return parser.parse_args()
