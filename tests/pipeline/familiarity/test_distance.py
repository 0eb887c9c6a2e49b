from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import NetworkFolderError
from pipeline.familiarity.fit import BEYOND_SHARE, fit_familiarity
from pipeline.familiarity.guard import Guard
from pipeline.familiarity.orientation import Orientation


def features(random: np.random.Generator, *, count: int) -> np.ndarray:
    """Three directions of variation in twenty channels, around 6."""
    hidden = random.normal(size=(count, 3)) @ np.eye(3, 20)
    return (hidden + 6 + 0.05 * random.normal(size=(count, 20))).astype(np.float32)


@pytest.fixture
def fitted():  # type: ignore[no-untyped-def]
    random = np.random.default_rng(0)
    return fit_familiarity(
        features(random, count=2000),
        features(random, count=1000),
        components=3,
        weights=np.full(2000, 1 / 2000),
        parts=[np.ones(1000, np.bool_)],
    )


def test_stated_share_lies_beyond_the_limit(fitted) -> None:  # type: ignore[no-untyped-def]
    others = features(np.random.default_rng(1), count=4000)
    share = (fitted.unfamiliarity(others) > 0.5).mean()
    assert BEYOND_SHARE / 2 < share < 2 * BEYOND_SHARE


def test_distance_grows_within_and_outside_the_basis(fitted) -> None:  # type: ignore[no-untyped-def]
    far, outside = np.full((1, 20), 6.0), np.full((1, 20), 6.0)
    far[0, 0] += 9  # along a usual direction, much too far
    outside[0, 19] += 1  # where no training image varied
    for strange in (far, outside):
        assert fitted.unfamiliarity(strange.astype(np.float32))[0] > 0.5
    assert fitted.unfamiliarity(np.full((1, 20), 6.0, np.float32))[0] < 0.05
    assert fitted.unfamiliarity(np.full((1, 20), 1e9, np.float32))[0] <= 1


def test_guard_survives_saving(fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "familiarity.npz"
    weights = np.random.default_rng(3).normal(size=(785, 8)).astype(np.float32)
    Guard(features=fitted, appearance=fitted, orientation=Orientation(weights)).save(path)
    loaded = Guard.load(path)
    np.testing.assert_array_equal(loaded.orientation.weights, weights)
    assert not loaded.are_roots
    some = features(np.random.default_rng(2), count=5)
    for part in (loaded.features, loaded.appearance):
        np.testing.assert_allclose(part.unfamiliarity(some), fitted.unfamiliarity(some), rtol=1e-6)


def test_incomplete_guard_file_is_refused(fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    np.savez(tmp_path / "familiarity.npz", **fitted.as_arrays("features"))
    with pytest.raises(NetworkFolderError, match=r"familiarity\.npz in .* cannot be read"):
        Guard.load(tmp_path / "familiarity.npz")
