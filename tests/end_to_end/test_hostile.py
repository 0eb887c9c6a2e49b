"""Every shared hostile file is handled as its manifest says, within time and memory limits."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.predict.reader import Reader, Result, open_items
from cli.walk import Source
from pipeline.files.archive import ArchiveLimits
from pipeline.inference.predictor import Predictor
from pipeline.prepare.pool import DecoderPool
from tests.support.imaging.decoding import WITHIN_S, within_limits

pytestmark = [pytest.mark.processes, pytest.mark.shared]

REFUSED, NO_CHEST, READ = "refused", "no chest", "read"  # the outcomes


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(processes=1, timeout_s=120, key=b"key") as running:
        list(running.prepare_all([Path("/nothing")]))  # waits for its start
        yield running


def outcome(result: Result) -> str:
    """Of a file, or of one member of an archive."""
    if result.status == "predicted":
        return READ if result.finding else NO_CHEST
    assert result.status == "rejected", result
    assert result.reason is not None
    assert 10 < len(result.reason.partition(": ")[2]) < 250
    assert "unexpected" not in result.reason
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
    shared_data: Path, pool: DecoderPool, tmp_path: Path
) -> None:
    with (shared_data / "hostile" / "manifest.csv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest))
    predictor, wrong = Predictor.open(), []
    for row in rows:
        began_s = time.thread_time()
        source = Source(row["file"], shared_data / row["file"])
        items = open_items([source], scratch=tmp_path, limits=ArchiveLimits())
        with within_limits(pool, row["file"]):
            found = [outcome(result) for result in Reader(pool, predictor).read(items)]
        assert time.thread_time() - began_s < WITHIN_S, row["file"]
        if not is_expected(row["expected"], found, row["category"]):
            wrong.append((row["file"], row["expected"], found))
    assert not wrong, "\n".join(map(str, wrong))
    assert len(rows) == 161
