"""`python -m tests.chaos.run`: a job through a storm, on one database or both."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.files import Sent, make_files
from tests.chaos.namespace import enter_namespace
from tests.chaos.report import Run, lines
from tests.chaos.rig import Rig, open_rig
from tests.chaos.storm import Storm, plan
from tests.chaos.verdict import judge, tidy

DATABASES = ("sqlite", "postgresql")
PATIENCE_S = 120.0  # without any progress, then what waits counts as lost
NO_DISK = "disk full: no file system can be mounted here; all else was on this machine's disk"


def main() -> None:
    options = _options()
    enter_namespace()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    databases = DATABASES if options.database == "both" else (options.database,)
    _print(f"seed {seed}")
    runs = []
    for one in databases:
        runs.append(
            run_one(one, images=options.images, faults=options.faults, seed=seed, logs=options.logs)
        )
        _print(*lines(runs[-1]))
    losses = sum(len(run.verdict.losses) for run in runs)
    faults = sum(len(run.strikes) for run in runs)
    _print("", f"{faults} faults, losses: {losses}")
    sys.exit(1 if losses else 0)


def run_one(database: str, *, images: int, faults: int, seed: int, logs: Path | None) -> Run:
    began = time.monotonic()
    choose = random.Random(f"{seed} {database}")
    with tempfile.TemporaryDirectory(prefix="overread-chaos-") as folder:
        sent = make_files(Path(folder) / "upload", images, seed=seed)
        with open_rig(Path(folder) / "rig", database=database, images=images) as rig:
            try:
                return _run_on(rig, sent, Path(folder) / "upload", faults, seed, choose, began)
            finally:
                _keep_logs(rig, logs)


def _run_on(
    rig: Rig,
    sent: list[Sent],
    upload: Path,
    faults: int,
    seed: int,
    choose: random.Random,
    began: float,
) -> Run:
    planned = plan(faults, database=rig.database, has_disk=rig.has_disk, choose=choose)
    storm = Storm(rig, planned, total=len(sent), choose=choose)
    rig.send(upload)
    sending = time.monotonic()
    storm.run(lambda text: _say(rig, text, began))
    _wait_for_the_end(rig, len(sent), began)
    assert rig.sender is not None
    rig.end()
    tidy(rig)
    return Run(
        database=rig.database,
        seed=seed,
        strikes=storm.strikes,
        verdict=judge(rig, sent, storm.strikes),
        sending_s=(rig.sender.ended_at or time.monotonic()) - sending,
        took_s=time.monotonic() - began,
        sender_starts=rig.sender.starts,
        not_done=_not_done(rig, storm, planned=len(planned)),
    )


def _not_done(rig: Rig, storm: Storm, *, planned: int) -> list[str]:
    left = planned - len(storm.strikes)
    found_nothing = [f"{left} faults: there was nothing left for them to hit"] if left else []
    return [*([] if rig.has_disk else [NO_DISK]), *found_nothing]


def _wait_for_the_end(rig: Rig, total: int, began: float) -> None:
    """Until all is final, or nothing has moved for long."""
    finished, since = -1, time.monotonic()
    while rig.finished() < total or (rig.sender and rig.sender.is_sending):
        if rig.finished() != finished:
            finished, since = rig.finished(), time.monotonic()
        if time.monotonic() - since > PATIENCE_S:
            _say(rig, f"nothing moves, {total - finished} images wait", began)
            return
        time.sleep(0.2)
    _say(rig, "every image has come to its end", began)


def _say(rig: Rig, text: str, began: float) -> None:
    counts = rig.count()
    told = " ".join(f"{state}={counts[state]}" for state in counts if counts[state])
    sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {text:<50} {told}\n")


def _print(*texts: str) -> None:
    sys.stdout.writelines(f"{text}\n" for text in texts)
    sys.stdout.flush()


def _keep_logs(rig: Rig, logs: Path | None) -> None:
    if logs is None:
        return
    target = logs / rig.database
    target.mkdir(parents=True, exist_ok=True)
    for name in ("log", "sender.log", "output"):
        if (rig.folder / name).exists():
            (target / name).write_bytes((rig.folder / name).read_bytes())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=60, help="on each database")
    parser.add_argument("--seed", type=int, help="by default a new one, which is printed")
    parser.add_argument("--logs", type=Path, help="keep the service's and the sender's logs here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
