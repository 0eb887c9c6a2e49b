"""What trainings left that were killed or cancelled goes; what an open night needs stays."""

import os
import time
from pathlib import Path

import pytest

from models.learning.nights import cancel_night, request_night
from tests.support.data.versions import make_version
from worker.context import Doors
from worker.tidy import discard_leftovers

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

LONG_AGO_S = 25 * 3600


def leave(doors: Doors, name: str) -> Path:
    folder = doors.settings.data_dir / "networks" / name
    folder.mkdir(parents=True)
    (folder / "checkpoint.npz").write_bytes(b"half a training")
    then = time.time() - LONG_AGO_S
    os.utime(folder, (then, then))
    return folder


def left(doors: Doors) -> set[str]:
    return {path.name for path in (doors.settings.data_dir / "networks").iterdir()}


def test_a_nights_training_is_kept_until_the_night_has_ended(doors: Doors) -> None:
    with doors.sessions.begin() as session:
        night_id = request_night(session, user_id=None).id
    ours, theirs = f".night-{night_id}.training", f".night-{night_id}0.training"
    for name in (ours, theirs, f".night-{night_id}.partial-12ab"):
        leave(doors, name)
    version = make_version(doors.settings.data_dir / "networks" / "night-8")
    os.utime(version, (0, 0))
    discard_leftovers(doors)
    assert left(doors) == {ours, f".night-{night_id}.partial-12ab", "night-8"}
    with doors.sessions.begin() as session:
        cancel_night(session, night_id)
    discard_leftovers(doors)
    assert left(doors) == {"night-8"}


def test_what_was_just_written_stays(doors: Doors) -> None:
    os.utime(leave(doors, ".night-7.training"))
    discard_leftovers(doors)
    assert left(doors) == {".night-7.training"}


def test_there_is_nothing_where_nothing_was_trained(doors: Doors) -> None:
    discard_leftovers(doors)
