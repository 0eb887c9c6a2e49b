"""Model versions and the history of the production alias."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy.orm import Session

from models.config.settings import Settings
from models.learning.promotion import (
    install_baseline,
    production_history,
    promote,
    roll_back,
    roll_back_as_admin,
    roll_back_target,
)
from models.learning.versions import PromotionError, check_servable, register_version
from models.tables.intake import ModelVersion, Move
from tests.support.data.nights import a_trained_version
from tests.support.data.rows import a_user, a_version, live_version
from tests.support.servers.databases import Database


def promote_all(session: Session, *names: str) -> None:
    for name in names:
        version = a_version(session, name=name, is_live=False)
        promote(session, version, user_id=None, reason=f"{name} is better")


def back(session: Session) -> str:
    return roll_back(session, user_id=None, reason="worse").name


def live_name(database: Database) -> str:
    with database.sessions() as session:
        return live_version(session).name


def test_roll_back_undoes_promotions_one_by_one_and_a_later_one(session: Session) -> None:
    promote_all(session, "A", "B", "C")
    assert [back(session), back(session)] == ["B", "A"]
    with pytest.raises(PromotionError, match="nothing to roll back to"):
        back(session)
    assert live_version(session).name == "A"
    promote_all(session, "D")
    target = roll_back_target(session)
    assert target is not None
    assert (target.name, back(session)) == ("A", "A")


def test_production_history_keeps_user_move_and_reason(session: Session) -> None:
    user = a_user(session, name="ada")
    a_version(session, name="A")
    new = a_version(session, name="B", is_live=False)
    promote(session, new, user_id=user.id, reason="it finds more")
    roll_back(session, user_id=user.id, reason="it finds too much" * 100)
    entries = [
        (entry.model_version.name, entry.move, entry.user_id, entry.reason[:17])
        for entry in production_history(session)
    ]
    assert entries == [
        ("A", Move.ROLL_BACK, user.id, "it finds too much"),
        ("B", Move.PROMOTION, user.id, "it finds more"),
        ("A", Move.PROMOTION, None, "for a test"),
    ]


def move_concurrently(
    database: Database, move: Callable[[Session], ModelVersion], count: int
) -> list[str]:
    """Run it in transactions and threads of its own; return names of versions, and errors."""
    ready = threading.Barrier(count)

    def run(_: int) -> str:
        ready.wait()
        try:
            with database.sessions.begin() as session:
                return move(session).name
        except PromotionError as error:
            return str(error)

    with ThreadPoolExecutor(count) as threads:
        return sorted(threads.map(run, range(count)))


def test_admins_who_roll_back_concurrently_go_one_step(database: Database) -> None:
    settings = database.settings
    with database.sessions.begin() as session:
        user_id = a_user(session).id
        for name in "ABC":
            version = a_trained_version(session, settings, name)
            promote(session, version, user_id=None, reason="better")

    step = partial(roll_back_as_admin, settings=settings, user_id=user_id, expected_live="C")
    expected = ["B", *["version B is live now, no longer C: reload first"] * 3]
    assert move_concurrently(database, step, 4) == expected
    assert live_name(database) == "B"


def test_concurrent_roll_backs_follow_each_other(database: Database) -> None:
    with database.sessions.begin() as session:
        promote_all(session, "A", "B", "C", "D")
    step = partial(roll_back, user_id=None, reason="worse")
    assert move_concurrently(database, step, 3) == ["A", "B", "C"]
    assert live_name(database) == "A"


def test_register_version_twice_at_once_adds_one_row(database: Database) -> None:
    with ThreadPoolExecutor() as threads:
        with database.sessions.begin() as session:
            first = a_trained_version(session, database.settings, "ours")
            second = threads.submit(register_again, database, first.folder)
            with suppress(TimeoutError):
                second.result(timeout=0.2)  # it waits for this one's end
        assert second.result(timeout=60) == first.id


def register_again(database: Database, folder: str | None) -> int:
    data_dir = database.settings.data_dir
    with database.sessions.begin() as session:
        return register_version(session, folder=data_dir / str(folder), data_dir=data_dir).id


def test_check_servable_names_the_reason(session: Session, settings: Settings) -> None:
    sensitive = settings.model_copy(update={"operating_point": "sensitive"})
    install_baseline(session, data_dir=settings.data_dir)
    check_servable(live_version(session), settings)
    one_point = a_trained_version(session, settings, "one-point", points={"balanced": 0.5})
    check_servable(one_point, settings)
    with pytest.raises(PromotionError, match="one-point has no operating point sensitive"):
        check_servable(one_point, sensitive)
    earlier = a_version(session, name="baseline-0", is_live=False)
    with pytest.raises(PromotionError, match="baseline-0 was shipped with an earlier release"):
        check_servable(earlier, settings)
    folder = settings.data_dir / str(one_point.folder)
    (folder / "network.bin").write_bytes(b"damaged")
    with pytest.raises(PromotionError, match=r"one-point cannot be read: network\.bin"):
        check_servable(one_point, settings)
    shutil.rmtree(folder)
    with pytest.raises(PromotionError, match="one-point cannot be read"):
        check_servable(one_point, settings)
