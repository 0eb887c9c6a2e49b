"""Heatmaps follow the weights: shuffled weights change them, the same weights don't."""

import numpy as np
import pytest

from benchmarks.accuracy.randomisation import (
    STAGES,
    compile_heatmaps,
    correlations,
    randomise,
    shuffle_cascade,
)
from pipeline.inference.gradcam import forward_function
from tests.support.imaging.networks import make_random_network

pytestmark = pytest.mark.tensorflow
INPUTS = np.random.default_rng(0).integers(0, 256, (4, 96, 96)).astype(np.uint8)


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    return make_random_network()


def test_every_stage_changes_the_heatmap_and_the_weights_come_back(network) -> None:  # type: ignore[no-untyped-def]
    learned = network.get_weights()
    before = forward_function(network)(INPUTS)["heatmaps"].numpy()
    rows = randomise(network, INPUTS, draws=2)
    assert [row["layers"] for row in rows[1:]] == [name for name, _ in STAGES]
    for row in rows[1:]:
        assert -1 <= row["low"] <= row["correlation"] <= row["high"] < 0.9
        assert 0 <= row["empty"] <= 1
    for mine, theirs in zip(network.get_weights(), learned, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(forward_function(network)(INPUTS)["heatmaps"].numpy(), before)


def test_stages_together_are_the_whole_network(network) -> None:  # type: ignore[no-untyped-def]
    learned = [value.copy() for value in network.get_weights()]
    seen = []
    for _ in shuffle_cascade(network, seed=0):
        pairs = zip(network.get_weights(), learned, strict=True)
        seen.append(sum(not np.array_equal(mine, theirs) for mine, theirs in pairs))
    assert seen == sorted(set(seen))  # each stage adds layers
    varied = sum(np.ptp(value) > 0 for value in learned)
    assert seen[0] == 1  # the head's kernel; its one bias stays what it is
    assert seen[-1] == varied


def test_the_original_is_what_serving_computes(network) -> None:  # type: ignore[no-untyped-def]
    served = forward_function(network)(INPUTS)["heatmaps"].numpy()
    found = compile_heatmaps(network, INPUTS)()
    np.testing.assert_allclose(found, served, rtol=1e-4, atol=1e-6 * served.max())


def test_correlations_known_by_hand() -> None:
    first = np.array([[[0, 1], [2, 3]]] * 3, np.float32)
    second = np.stack([2 * first[0] + 5, 3 - first[0], np.ones((2, 2), np.float32)])
    assert correlations(first, second) == pytest.approx([1, -1, 0])
