"""One job under injected faults, on one database or both."""

import argparse
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.files import make_files
from tests.chaos.injector import Injector, plan
from tests.chaos.report import Run, lines
from tests.chaos.rig import Rig, open_rig
from tests.chaos.sender import Sender
from tests.chaos.users import Users
from tests.chaos.verdict import judge, tidy

DATABASES = ("sqlite", "postgresql")
TIMEOUT_S = 120.0  # without progress; then whatever still waits counts as lost
NO_DISK = "disk full: no file system can be mounted here; the data folder was on this disk"


@dataclass(frozen=True)
class Order:
    """How many images and faults; whether users act, too; where to keep the logs."""

    images: int
    faults: int
    seed: int
    has_users: bool
    logs: Path | None


class Clock:
    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def main() -> None:
    options = _options()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    order = Order(options.images, options.faults, seed, not options.no_users, options.logs)
    databases = DATABASES if options.database == "both" else (options.database,)
    _print(f"seed {seed}")
    runs = []
    for database in databases:
        runs.append(run_on(database, order))
        _print(*lines(runs[-1]))
    losses = sum(len(run.verdict.losses) for run in runs)
    _print("", f"{sum(len(run.injections) for run in runs)} faults, losses: {losses}")
    sys.exit(1 if losses else 0)


def run_on(database: str, order: Order) -> Run:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="overread-chaos-") as folder:
        upload = Path(folder) / "upload"
        sent = make_files(upload, order.images, seed=order.seed)
        with open_rig(Path(folder) / "rig", database=database, images=order.images) as rig:
            try:
                sender = rig.send(upload)
                injector = _injector(rig, order)
                users = Users(rig, upload, choose=random.Random(order.seed))
                with users if order.has_users else nullcontext():
                    injector.run(lambda text: _say(rig, text, clock))
                _wait_for_the_end(rig, sender, len(sent), clock)
                rig.end()
                tidy(rig)
                return Run(
                    database=database,
                    seed=order.seed,
                    injections=injector.injections,
                    verdict=judge(rig, sent, injector.injections),
                    actions=users.done,
                    sending_s=sender.took_s,
                    took_s=clock.seconds,
                    sender_starts=sender.starts,
                    not_done=_not_done(rig, injector, planned=order.faults),
                )
            finally:
                _keep_logs(rig, order.logs)


def _injector(rig: Rig, order: Order) -> Injector:
    choose = random.Random(f"{order.seed} {rig.database}")
    faults = plan(order.faults, database=rig.database, has_disk=rig.has_disk, choose=choose)
    return Injector(rig, faults, total=order.images, choose=choose)


def _not_done(rig: Rig, injector: Injector, *, planned: int) -> list[str]:
    left = planned - len(injector.injections)
    no_target = [f"{left} faults: no target left"] if left else []
    return [*([] if rig.has_disk else [NO_DISK]), *no_target]


def _wait_for_the_end(rig: Rig, sender: Sender, total: int, clock: Clock) -> None:
    """Until every image has a final state, or nothing changes for TIMEOUT_S."""
    finished, since = -1, clock.seconds
    while rig.finished() < total or sender.is_sending:
        if rig.finished() != finished:
            finished, since = rig.finished(), clock.seconds
        if clock.seconds - since > TIMEOUT_S:
            _say(rig, f"no progress, {total - finished} images wait", clock)
            return
        time.sleep(0.2)
    _say(rig, "every image has a final state", clock)


def _say(rig: Rig, text: str, clock: Clock) -> None:
    counts = rig.count()
    states = " ".join(f"{state}={counts[state]}" for state in counts if counts[state])
    sys.stderr.write(f"{clock.seconds:6.1f} s  {text:<50} {states}\n")


def _print(*texts: str) -> None:
    sys.stdout.writelines(f"{text}\n" for text in texts)
    sys.stdout.flush()


def _keep_logs(rig: Rig, logs: Path | None) -> None:
    if logs is None:
        return
    target = logs / rig.database
    target.mkdir(parents=True, exist_ok=True)
    for name in ("log", "sender.log", "users.log", "output"):
        if (rig.folder / name).exists():
            (target / name).write_bytes((rig.folder / name).read_bytes())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=60, help="on each database")
    parser.add_argument("--seed", type=int, help="default: random; it is printed")
    parser.add_argument("--no-users", action="store_true", help="no user actions")
    parser.add_argument("--logs", type=Path, help="keep the service's and the sender's logs here")
    return parser.parse_args()
