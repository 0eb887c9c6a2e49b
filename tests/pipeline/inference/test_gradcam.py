import numpy as np
import pytest

from pipeline.inference.gradcam import FEATURE_MAP, HEAD, MIDDLE_MAP, forward_function
from tests.support.imaging.networks import make_random_network, phantom_inputs

pytestmark = pytest.mark.tensorflow


def make_known_network():  # type: ignore[no-untyped-def]
    """Two channels of the input's own brightness, so every number can be followed."""
    import keras

    grey = keras.Input((2, 2), dtype="uint8")
    channel = keras.layers.Reshape((2, 2, 1))(grey)
    scaled = keras.layers.Rescaling(1.0, name=MIDDLE_MAP)(channel)
    feature_map = keras.layers.Conv2D(2, 1, name=FEATURE_MAP)(scaled)
    pooled = keras.layers.GlobalAveragePooling2D(name="features")(feature_map)
    network = keras.Model(grey, keras.layers.Dense(1, name=HEAD)(pooled))
    # Channel 0 is the pixel, channel 1 is 10 minus the pixel.
    network.get_layer(FEATURE_MAP).set_weights([np.array([[[[1.0, -1.0]]]]), np.array([0.0, 10.0])])
    network.get_layer(HEAD).set_weights([np.array([[3.0], [-1.0]]), np.array([0.5])])
    return network


def test_forward_function_of_a_network_computed_by_hand() -> None:
    pixels = np.array([[[0, 4], [8, 0]]], np.uint8)
    answer = forward_function(make_known_network())(pixels)
    # Means are 3 and 7, so the logit is 3 * 3 - 7 + 0.5. The gradient is (3, -1) / 4 everywhere:
    # the heatmap is (3 p - (10 - p)) / 4, and 0 where that is negative.
    # What is judged for familiarity is the middle map's mean and deviation: here, the pixels'.
    assert answer["features"].numpy()[0] == pytest.approx([3, np.sqrt(11)], abs=1e-5)
    assert answer["logits"].numpy().tolist() == [2.5]
    assert answer["heatmaps"].numpy().tolist() == [[[0, 1.5], [5.5, 0]]]


def test_fold_batch_normalisation_and_round_to_float16() -> None:
    from pipeline.training.network import fold_batch_normalisation, round_to_float16

    network = make_random_network()
    inputs = phantom_inputs(count=2)[:, ::2, ::2][:, :96, :96]
    before = network.predict(inputs, verbose=0)
    fold_batch_normalisation(network)
    np.testing.assert_allclose(network.predict(inputs, verbose=0), before, rtol=1e-3, atol=1e-3)
    round_to_float16(network)
    for layer in network.layers:
        if layer.weights and "batch" not in type(layer).__name__.lower():
            for value in layer.get_weights():
                assert (value == value.astype(np.float16)).all()


def test_freeze_lower_leaves_the_upper_blocks() -> None:
    from pipeline.training.network import build_network, freeze_lower

    network = build_network(size=96, alpha=0.35)
    freeze_lower(network, share=1 / 3)
    assert not network.get_layer("Conv1").trainable
    assert network.get_layer("Conv_1").trainable
    assert network.get_layer(HEAD).trainable
    assert not network.get_layer("Conv_1_bn").trainable
