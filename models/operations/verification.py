"""The round of verification: a share of everything after the other, so that each has its turn.

How far it has come is kept in the data folder, what it finds in the database.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from models.base import now
from models.config.secrets import write_private
from models.config.settings import Settings
from models.file_lock import file_lock
from models.files.damage import DamageArea, note_damage
from models.files.store import FileStore
from models.operations.integrity import SHARES, Verified, verify_share
from models.session import Sessions

FILE = "verification.json"  # in the data folder
LOCK_FILE = "verification.lock"


class StoppedError(Exception):
    """The process is asked to stop; the share is verified again."""


@dataclass(frozen=True)
class Round:
    """verified_at: when its newest share ended, or the one before it. shares: done, of 256."""

    began_at: datetime
    verified_at: datetime
    shares: int = 0
    files: int = 0
    bytes: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class Verification:
    """last: the newest round that was completed."""

    current: Round
    last: Round | None = None


@dataclass
class Tally:
    """What was verified, by area."""

    files: Counter[DamageArea] = field(default_factory=Counter)
    bytes: Counter[DamageArea] = field(default_factory=Counter)
    damaged: list[Verified] = field(default_factory=list)

    def add(self, one: Verified) -> None:
        self.files[one.area] += 1
        self.bytes[one.area] += one.size
        if one.why:
            self.damaged.append(one)


@contextmanager
def verifying(data_dir: Path, *, timeout_s: float | None = 0.0) -> Iterator[None]:
    """Hold the round: of two that took turns, each would verify a part only.

    Raises LockedError, without a timeout never.
    """
    with file_lock(data_dir / LOCK_FILE, timeout_s=timeout_s):
        yield


def verify_next_share(
    sessions: Sessions,
    store: FileStore,
    settings: Settings,
    *,
    tally: Tally,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Verify the share after the one that was verified last. Call it while `verifying`.

    Raises StoppedError and StoreAwayError.
    """
    before = read_verification(settings.data_dir) or _begin(None)
    share = Tally()
    files = verify_share(sessions, store, before.current.shares, backups=settings.verify_backups)
    for one in files:
        if stopping():
            raise StoppedError
        share.add(one)
        tally.add(one)
    with sessions.begin() as session:
        note_damage(session, (one.damage for one in share.damaged))
    current = replace(
        before.current,
        verified_at=now(),
        shares=before.current.shares + 1,
        files=before.current.files + share.files.total(),
        bytes=before.current.bytes + share.bytes.total(),
        damaged=before.current.damaged + len(share.damaged),
    )
    after = replace(before, current=current)
    _write(settings.data_dir, _begin(current) if current.shares == SHARES else after)


def begin_round(data_dir: Path) -> None:
    """From the first share on, whatever was verified before."""
    before = read_verification(data_dir)
    _write(data_dir, _begin(before.last if before else None))


def shares_due(data_dir: Path, *, days: int) -> int:
    """How many shares to verify now, so that all have their turn within about so many days.

    Expects to be asked every hour. What a stopped service has missed is not caught up with, and a
    clock that stepped back stops nothing.
    """
    verification = read_verification(data_dir)
    passed = now() - verification.current.verified_at if verification else timedelta.max
    if timedelta(0) <= passed < timedelta(days=days) / SHARES:
        return 0
    return ceil(SHARES / (24 * days))


def read_verification(data_dir: Path) -> Verification | None:
    """None where nothing was verified yet, or what is kept cannot be read."""
    try:
        kept = json.loads((data_dir / FILE).read_text(encoding="ascii"))
        last = kept["last"] and _round(kept["last"])
        return Verification(_round(kept["current"]), last)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _begin(last: Round | None) -> Verification:
    return Verification(Round(began_at=now(), verified_at=now()), last)


def _round(kept: dict[str, Any]) -> Round:
    times = {name: datetime.fromisoformat(kept[name]) for name in ("began_at", "verified_at")}
    return Round(**kept | times)


def _write(data_dir: Path, verification: Verification) -> None:
    text = json.dumps(asdict(verification), default=datetime.isoformat)
    write_private(data_dir / FILE, text + "\n")
