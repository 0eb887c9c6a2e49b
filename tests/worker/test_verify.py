"""Verification in the service: a share an hour, and lost network inputs made again."""

import shutil
import sys

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from models.context import AppContext
from models.files.damage import Damage, list_damage, note_damage
from models.operations.verification import read_verification, verifying
from models.tables.intake import Image, State
from pipeline.prepare.pool import DecoderPool
from pipeline.types import PREPROCESSING
from tests.support.data.damage import flip_a_bit, swap
from tests.support.data.uploads import a_png
from tests.worker.conftest import TIMEOUT_S, Ingest
from worker.chunks import NoDecodersError
from worker.verify import mend_damage, verify_due_shares


@pytest.fixture
def images(context: AppContext, ingest: Ingest) -> list[Image]:
    """Three, read and predicted."""
    ingest({f"{number}.png": a_png(seed=number) for number in range(3)})
    with context.sessions.begin() as session:
        session.execute(update(Image).values(state=State.PREDICTED))
        return list(session.scalars(select(Image).order_by(Image.id)))


def damage(context: AppContext) -> list[Damage]:
    with context.sessions() as session:
        return list_damage(session)


def no_pool() -> DecoderPool:
    raise AssertionError("nothing is to be decoded")


def test_verify_due_shares_records_damage(
    context: AppContext, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.verify.shares_due", lambda *_, **__: 256)
    name = str(images[0].stored_sha256)
    flip_a_bit(context.store.path(name))
    verify_due_shares(context)
    assert damage(context) == [Damage("stored", name)]
    kept = read_verification(context.settings.data_dir)
    assert kept is not None
    assert kept.last is not None
    assert (kept.last.files, kept.last.damaged) == (6, 1)
    mend_damage(context, no_pool)
    assert damage(context) == [Damage("stored", name)], "nobody can make it again"
    context.store.put_bytes(a_png(seed=0))
    mend_damage(context, no_pool)
    assert damage(context) == []


def test_verification_of_the_command_line_is_not_disturbed(context: AppContext) -> None:
    with verifying(context.settings.data_dir):
        verify_due_shares(context)
    assert read_verification(context.settings.data_dir) is None
    verify_due_shares(context)
    assert read_verification(context.settings.data_dir) is not None


def test_stopping_process_makes_no_more_inputs_again(
    context: AppContext, images: list[Image], pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [Damage("inputs", one.sha256) for one in images]
    for image in images:
        context.store.discard_network_input(image.sha256, PREPROCESSING)
    with context.sessions.begin() as session:
        note_damage(session, lost)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", shutil.which("false"))
        with (
            DecoderPool(processes=1, timeout_s=TIMEOUT_S) as broken,
            pytest.raises(NoDecodersError, match="did not start"),
        ):
            mend_damage(context, lambda: broken)
    context.stopping.set()
    mend_damage(context, lambda: pool)
    assert damage(context) == lost


def test_lost_network_inputs_are_made_again_from_stored_files(
    context: AppContext, images: list[Image], pool: DecoderPool
) -> None:
    first, second, third = images
    before = [context.store.network_input(one.sha256, PREPROCESSING) for one in images]
    swap(*(context.store.paths("inputs", one.sha256)[0] for one in (first, second)))
    context.store.discard_network_input(third.sha256, PREPROCESSING)
    path, other = (context.store.path(str(one.stored_sha256)) for one in (third, first))
    path.write_bytes(other.read_bytes())
    lost = [Damage("inputs", one.sha256) for one in images]
    with context.sessions.begin() as session:
        note_damage(session, [*lost, *lost, Damage("inputs", "ab" * 32)])
    mend_damage(context, lambda: pool)
    for image, expected in zip((first, second), before[:2], strict=True):
        found = context.store.network_input(image.sha256, PREPROCESSING)
        np.testing.assert_array_equal(found, expected)
    assert damage(context) == [lost[2]], "its stored file is damaged, too"


def test_damaged_stored_file_is_written_over_when_its_image_is_sent_again(
    context: AppContext, images: list[Image], ingest: Ingest
) -> None:
    path = context.store.path(str(images[0].stored_sha256))
    content = path.read_bytes()
    flip_a_bit(path)
    with context.sessions.begin() as session:
        note_damage(session, [Damage("stored", path.name)])
    *_, again = ingest({"again/0.png": a_png(seed=0)})
    assert (again.state, again.stored_sha256) == (State.READY, path.name)
    assert path.read_bytes() == content
    mend_damage(context, no_pool)
    assert damage(context) == []


def test_network_input_of_an_image_that_is_purged_meanwhile_does_not_stay(
    context: AppContext, images: list[Image], pool: DecoderPool
) -> None:
    context.store.discard_network_input(images[0].sha256, PREPROCESSING)
    with context.sessions.begin() as session:
        note_damage(session, [Damage("inputs", images[0].sha256)])

    def purged() -> DecoderPool:
        with context.sessions.begin() as session:
            session.execute(delete(Image).where(Image.id == images[0].id))
        return pool

    mend_damage(context, purged)
    assert not context.store.has_network_input(images[0].sha256, PREPROCESSING)
    assert damage(context) == []
