"""Every shared hostile file is handled as its manifest says, within time and memory limits."""

import csv
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import RefusedError
from pipeline.files.archive import Member, is_archive, members
from pipeline.inference.predictor import Predictor
from pipeline.prepare.pool import DecoderPool
from pipeline.types import Prepared
from tests.support.imaging.decoding import WITHIN_S, answer_to

pytestmark = [pytest.mark.processes, pytest.mark.shared]

REFUSED, NO_CHEST, READ = "refused", "no chest", "read"  # the outcomes


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=1, timeout_s=120, key=b"key") as running:
        list(running.prepare_all([Path("/nothing")]))  # waits for its start
        yield running


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.open()


def outcomes(path: Path, *, pool: DecoderPool, predictor: Predictor, folder: Path) -> list[str]:
    """Return one outcome for a file, one for each member of an archive."""
    if not is_archive(path.read_bytes()[:4]):
        return [_outcome(answer_to(pool, path), predictor)]
    try:
        return [
            _member_outcome(member, pool=pool, predictor=predictor, folder=folder)
            for member in members(path)
        ]
    except RefusedError as refusal:
        return [_described(refusal)]


def _outcome(answer: Prepared | RefusedError, predictor: Predictor) -> str:
    if isinstance(answer, RefusedError):
        return _described(answer)
    (prediction,) = predictor.predict(answer.network_input[None])
    return READ if prediction.finding else NO_CHEST


def _member_outcome(
    member: Member, *, pool: DecoderPool, predictor: Predictor, folder: Path
) -> str:
    unpacked = folder / "member"
    try:
        with member.open() as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
    except RefusedError as refusal:
        return _described(refusal)
    return _outcome(answer_to(pool, unpacked), predictor)


def _described(refusal: RefusedError) -> str:
    assert 10 < len(str(refusal)) < 250
    assert "unexpected" not in str(refusal)
    return REFUSED


def is_expected(expected: str, found: list[str], category: str) -> bool:
    kinds = set(found)
    if expected.startswith("2 decode"):
        return found.count(READ) == 2 and REFUSED in kinds  # a text file is refused
    if "entry refused" in expected or "symlink refused" in expected:
        return REFUSED in kinds
    if "none silently lost" in expected or " or rejected" in expected or "borderline" in expected:
        return bool(found)
    if expected.startswith("not a chest"):
        return kinds <= {NO_CHEST, REFUSED}
    if expected.startswith("decodes"):
        # Out of distribution is also correct for an altered image.
        return kinds <= {READ, NO_CHEST} if category == "ood_picture" else kinds == {READ}
    assert expected.startswith("rejected"), expected
    return kinds == {REFUSED}


def test_hostile_files_have_expected_outcomes(
    shared_data: Path, pool: DecoderPool, predictor: Predictor, tmp_path: Path
) -> None:
    with (shared_data / "hostile" / "manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    wrong = []
    for row in rows:
        began_s = time.thread_time()
        path = shared_data / row["file"]
        found = outcomes(path, pool=pool, predictor=predictor, folder=tmp_path)
        assert time.thread_time() - began_s < WITHIN_S, row["file"]
        if not is_expected(row["expected"], found, row["category"]):
            wrong.append((row["file"], row["expected"], found))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(rows) == 161
