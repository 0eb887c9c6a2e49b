"""A job through a storm, on one database or both."""

import argparse
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.files import make_files
from tests.chaos.people import People
from tests.chaos.report import Run, lines
from tests.chaos.rig import Rig, open_rig
from tests.chaos.sender import Sender
from tests.chaos.storm import Storm, plan
from tests.chaos.verdict import judge, tidy

DATABASES = ("sqlite", "postgresql")
PATIENCE_S = 120.0  # without any progress, then what waits counts as lost
NO_DISK = "disk full: no file system can be mounted here; all else was on this machine's disk"


@dataclass(frozen=True)
class Order:
    """What to send, through how many faults; whether people are at work, too; where to keep the
    logs of what ran.
    """

    images: int
    faults: int
    seed: int
    has_people: bool
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
    order = Order(options.images, options.faults, seed, not options.no_people, options.logs)
    databases = DATABASES if options.database == "both" else (options.database,)
    _print(f"seed {seed}")
    runs = []
    for database in databases:
        runs.append(run_on(database, order))
        _print(*lines(runs[-1]))
    losses = sum(len(run.verdict.losses) for run in runs)
    _print("", f"{sum(len(run.strikes) for run in runs)} faults, losses: {losses}")
    sys.exit(1 if losses else 0)


def run_on(database: str, order: Order) -> Run:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="overread-chaos-") as folder:
        upload = Path(folder) / "upload"
        sent = make_files(upload, order.images, seed=order.seed)
        with open_rig(Path(folder) / "rig", database=database, images=order.images) as rig:
            try:
                sender = rig.send(upload)
                storm = _storm(rig, order)
                people = People(rig, upload, choose=random.Random(order.seed))
                with people if order.has_people else nullcontext():
                    storm.run(lambda text: _say(rig, text, clock))
                _wait_for_the_end(rig, sender, len(sent), clock)
                rig.end()
                tidy(rig)
                return Run(
                    database=database,
                    seed=order.seed,
                    strikes=storm.strikes,
                    verdict=judge(rig, sent, storm.strikes),
                    deeds=people.done,
                    sending_s=sender.took_s,
                    took_s=clock.seconds,
                    sender_starts=sender.starts,
                    not_done=_not_done(rig, storm, planned=order.faults),
                )
            finally:
                _keep_logs(rig, order.logs)


def _storm(rig: Rig, order: Order) -> Storm:
    choose = random.Random(f"{order.seed} {rig.database}")
    faults = plan(order.faults, database=rig.database, has_disk=rig.has_disk, choose=choose)
    return Storm(rig, faults, total=order.images, choose=choose)


def _not_done(rig: Rig, storm: Storm, *, planned: int) -> list[str]:
    left = planned - len(storm.strikes)
    found_nothing = [f"{left} faults: there was nothing left for them to hit"] if left else []
    return [*([] if rig.has_disk else [NO_DISK]), *found_nothing]


def _wait_for_the_end(rig: Rig, sender: Sender, total: int, clock: Clock) -> None:
    """Until all is final, or nothing has moved for long."""
    finished, since = -1, clock.seconds
    while rig.finished() < total or sender.is_sending:
        if rig.finished() != finished:
            finished, since = rig.finished(), clock.seconds
        if clock.seconds - since > PATIENCE_S:
            _say(rig, f"nothing moves, {total - finished} images wait", clock)
            return
        time.sleep(0.2)
    _say(rig, "every image has come to its end", clock)


def _say(rig: Rig, text: str, clock: Clock) -> None:
    counts = rig.count()
    told = " ".join(f"{state}={counts[state]}" for state in counts if counts[state])
    sys.stderr.write(f"{clock.seconds:6.1f} s  {text:<50} {told}\n")


def _print(*texts: str) -> None:
    sys.stdout.writelines(f"{text}\n" for text in texts)
    sys.stdout.flush()


def _keep_logs(rig: Rig, logs: Path | None) -> None:
    if logs is None:
        return
    target = logs / rig.database
    target.mkdir(parents=True, exist_ok=True)
    for name in ("log", "sender.log", "people.log", "output"):
        if (rig.folder / name).exists():
            (target / name).write_bytes((rig.folder / name).read_bytes())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=60, help="on each database")
    parser.add_argument("--seed", type=int, help="by default a new one, which is printed")
    parser.add_argument("--no-people", action="store_true", help="nobody cancels, purges, backs up")
    parser.add_argument("--logs", type=Path, help="keep the service's and the sender's logs here")
    return parser.parse_args()
