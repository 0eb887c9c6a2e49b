"""The round of verification: every share in turn, at the pace of the setting."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.base import now
from models.files.damage import Damage, list_damage
from models.operations import verification
from models.operations.integrity import SHARES
from models.operations.verification import (
    FILE,
    StoppedError,
    Tally,
    begin_round,
    read_verification,
    shares_due,
    verify_next_share,
)
from tests.support.data.damage import flip_a_bit
from tests.support.data.sites import Site


@pytest.fixture
def data_dir(site: Site) -> Path:
    return site.database.settings.data_dir


def verify(site: Site, shares: int) -> Tally:
    tally = Tally()
    for _ in range(shares):
        verify_next_share(site.database.sessions, site.store, site.database.settings, tally=tally)
    return tally


def test_round_verifies_every_file_once_and_begins_again(site: Site, data_dir: Path) -> None:
    site.job(*range(8))
    path = site.store.paths("inputs", site.sha256(3))[0]
    flip_a_bit(path)
    first, second = verify(site, 100), verify(site, SHARES - 100)
    assert (first.files + second.files) == {"inputs": 8, "stored": 4, "networks": 1}
    kept = read_verification(data_dir)
    assert kept is not None
    assert kept.last is not None
    assert (kept.last.shares, kept.last.files, kept.last.damaged) == (SHARES, 13, 1)
    assert (kept.current.shares, kept.current.files) == (0, 0)
    with site.database.sessions() as session:
        assert list_damage(session) == [Damage("inputs", path.name)]

    verify(site, 3)
    begin_round(data_dir)
    kept = read_verification(data_dir)
    assert kept is not None
    assert kept.last is not None
    assert (kept.current.shares, kept.last.files) == (0, 13)


def test_stopped_share_is_verified_again(site: Site, data_dir: Path) -> None:
    site.job(1)
    share = int(site.sha256(1)[:2], 16)
    verify(site, share)
    with pytest.raises(StoppedError):
        verify_next_share(
            site.database.sessions,
            site.store,
            site.database.settings,
            tally=Tally(),
            stopping=lambda: True,
        )
    kept = read_verification(data_dir)
    assert kept is not None
    assert kept.current.shares == share


@pytest.mark.parametrize(
    ("days", "passed", "due"),
    [
        (30, timedelta(hours=2.7), 0),
        (30, timedelta(hours=2.9), 1),
        (30, timedelta(days=400), 1),
        (30, timedelta(days=-1), 1),
        (1, timedelta(hours=1), 11),
    ],
)
def test_shares_are_due_at_the_pace_of_the_setting(
    site: Site,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    passed: timedelta,
    due: int,
) -> None:
    verify(site, 1)
    moment = now() + passed
    monkeypatch.setattr(verification, "now", lambda: moment)
    assert shares_due(data_dir, days=days) == due


def test_first_share_is_due_at_once_also_where_the_file_is_damaged(
    site: Site, data_dir: Path
) -> None:
    assert shares_due(data_dir, days=30) == 1
    verify(site, 1)
    assert shares_due(data_dir, days=30) == 0
    (data_dir / FILE).write_text("{")
    assert shares_due(data_dir, days=30) == 1
