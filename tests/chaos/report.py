"""The table of faults, user actions and losses."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.faults import FAULTS
from tests.chaos.injector import Injection
from tests.chaos.verdict import SHOWN, Verdict


@dataclass(frozen=True)
class Run:
    database: str
    seed: int
    injections: Sequence[Injection]
    verdict: Verdict
    sending_s: float
    took_s: float
    sender_starts: int
    not_done: Sequence[str]
    actions: Mapping[str, int]


def lines(run: Run) -> Iterator[str]:
    verdict = run.verdict
    yield ""
    yield f"{run.database}, seed {run.seed}, {platform.machine()}, {run.took_s:.0f} s"
    yield f"{'fault':<34}{'times':>6}{'seconds':>16}{'losses':>8}"
    for fault in FAULTS:
        if fault.database in ("", run.database):
            yield _fault_line(fault.name, run)
    yield f"{'all':<34}{len(run.injections):>6}{'':>16}{len(verdict.losses):>8}"
    yield from (f"not done: {clause}" for clause in run.not_done)
    yield ""
    states = ", ".join(f"{count} {state}" for state, count in sorted(verdict.counts.items()))
    yield f"{'final states':<26}{states}"
    yield from (f"{what:<26}{found}" for what, found in verdict.facts)
    yield f"{'submit started':<26}{run.sender_starts} times, all sent after {run.sending_s:.0f} s"
    yield from (f"{'users':<26}{action} {times} times" for action, times in run.actions.items())
    yield from (f"{'file deleted':<26}{line}" for line in verdict.deleted)
    yield from (f"LOST  {loss}" for loss in verdict.losses[:SHOWN])
    if len(verdict.losses) > SHOWN:
        yield f"LOST  and {len(verdict.losses) - SHOWN} more"
    yield f"losses: {len(verdict.losses)}"


def _fault_line(name: str, run: Run) -> str:
    took = sorted(injection.took_s for injection in run.injections if injection.fault == name)
    seconds = f"{took[0]:.1f} to {took[-1]:.1f}" if took else ""
    return f"{name:<34}{len(took):>6}{seconds:>16}{run.verdict.by_fault[name]:>8}"
