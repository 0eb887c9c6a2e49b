"""What trainings left that were killed or cancelled goes; what an open night needs stays."""

import os
import time
from pathlib import Path

import pytest

from models.context import AppContext
from models.learning.nights import cancel_night, request_night
from tests.support.data.versions import make_version
from worker.tidy import discard_leftovers

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

LONG_AGO_S = 25 * 3600


def leave(context: AppContext, name: str) -> Path:
    folder = context.settings.data_dir / "networks" / name
    folder.mkdir(parents=True)
    (folder / "checkpoint.npz").write_bytes(b"half a training")
    then = time.time() - LONG_AGO_S
    os.utime(folder, (then, then))
    return folder


def left(context: AppContext) -> set[str]:
    return {path.name for path in (context.settings.data_dir / "networks").iterdir()}


def test_a_nights_training_is_kept_until_the_night_has_ended(context: AppContext) -> None:
    with context.sessions.begin() as session:
        night_id = request_night(session, user_id=None).id
    ours, theirs = f".night-{night_id}.training", f".night-{night_id}0.training"
    for name in (ours, theirs, f".night-{night_id}.partial-12ab"):
        leave(context, name)
    version = make_version(context.settings.data_dir / "networks" / "night-8")
    os.utime(version, (0, 0))
    discard_leftovers(context)
    assert left(context) == {ours, f".night-{night_id}.partial-12ab", "night-8"}
    with context.sessions.begin() as session:
        cancel_night(session, night_id)
    discard_leftovers(context)
    assert left(context) == {"night-8"}


def test_what_was_just_written_stays(context: AppContext) -> None:
    os.utime(leave(context, ".night-7.training"))
    discard_leftovers(context)
    assert left(context) == {".night-7.training"}


def test_there_is_nothing_where_nothing_was_trained(context: AppContext) -> None:
    discard_leftovers(context)
