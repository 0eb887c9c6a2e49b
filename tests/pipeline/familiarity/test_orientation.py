import numpy as np
import pytest

from pipeline.familiarity.distance import appearance
from pipeline.familiarity.orientation import (
    DOUBT,
    WAYS,
    Orientation,
    corrected,
    describe,
    fit_orientation,
)
from tests.support.imaging.networks import phantom_inputs


def stored(inputs: np.ndarray, way: int) -> np.ndarray:
    turned = np.rot90(inputs, way % 4, axes=(1, 2))
    return 255 - turned if way >= 4 else turned


@pytest.fixture(scope="module")
def orientation() -> Orientation:
    return fit_orientation(phantom_inputs(count=24))


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    return phantom_inputs(count=44)[24:]


@pytest.mark.parametrize("way", range(WAYS))
def test_every_orientation_is_detected_and_corrected(
    orientation: Orientation, others: np.ndarray, way: int
) -> None:
    ways, sentences = orientation.judge(appearance(stored(others, way)))
    assert (ways == way).mean() >= 0.9
    right = ways == way
    np.testing.assert_array_equal(corrected(stored(others, way), ways)[right], others[right])
    assert all(
        describe(way) == said for said, ok in zip(sentences, right, strict=True) if ok and way
    )


def test_doubtful_orientation_is_a_warning_only() -> None:
    weights = np.zeros((785, WAYS), np.float32)
    weights[-1, 2] = 0.1  # a little ahead of "as it should be"
    ways, sentences = Orientation(weights).judge(appearance(phantom_inputs(count=1)))
    assert ways.tolist() == [0]
    assert sentences == [DOUBT]


def test_empty_batch() -> None:
    none = np.empty((0, 224, 224), np.uint8)
    ways, sentences = Orientation(np.zeros((785, WAYS), np.float32)).judge(appearance(none))
    assert len(ways) == len(sentences) == 0
    assert corrected(none, ways).shape == none.shape


def test_describe() -> None:
    assert describe(0) is None
    assert describe(2) == "the image appears upside down; corrected before reading"
    assert describe(4) == "the image appears inverted; corrected before reading"
    assert "upside down and inverted" in (describe(6) or "")
