"""The teacher of place: shares of heatmaps known by hand, and places that move with images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.training.config import TrainingConfig
from pipeline.training.data.dataset import Dataset
from pipeline.training.job import TrainingJob
from pipeline.training.place import PLACES_SIDE, lung_prior
from tests.support.imaging.networks import TOY, write_start_weights

pytestmark = pytest.mark.tensorflow


def test_lung_prior_is_symmetric_and_empty_at_the_border() -> None:
    prior = lung_prior()
    assert prior.shape == (PLACES_SIDE, PLACES_SIDE)
    np.testing.assert_array_equal(prior, prior[:, ::-1])
    assert prior.max() == 1
    corners = prior[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() < 0.05


def test_share_outside_of_heatmaps_known_by_hand() -> None:
    from pipeline.training.place import share_outside

    feature_map = np.zeros((3, 2, 2, 2), np.float32)
    feature_map[0, 0, 0], feature_map[0, 1, 1] = (3, 0), (0, 0.5)  # a heatmap of 3 and 1
    feature_map[1, 0, 1] = (0, 2)
    feature_map[2] = (-1, -1)  # nothing raises the score
    places = np.zeros((3, 4, 4), np.float32)
    places[:, :2, :2] = 1  # the upper left quarter, of which one cell in four
    places[1, :2, 2:] = 0.25
    kernel = np.array([[1], [2]], np.float32)
    found = share_outside(feature_map, kernel, places).numpy()
    np.testing.assert_allclose(found, [0.25, 0.75, 0], atol=1e-3)


def test_places_move_with_their_images() -> None:
    from pipeline.training.data.augmentation import augment, augment_with_places

    side, square = 112, np.s_[:, 28:56, 16:48]
    images = np.zeros((16, side, side), np.uint8)
    images[square] = 255
    places = images.reshape(16, 28, 4, 28, 4).mean(axis=(2, 4), dtype=np.float32) / 255
    seed = np.array([4, 2], np.int32)
    augmented = augment_with_places(images, places, seed=seed, config=TOY)
    moved, moved_places = (part.numpy() for part in augmented)
    np.testing.assert_array_equal(moved, augment(images, seed=seed, config=TOY))
    small = moved.reshape(16, 28, 4, 28, 4).mean(axis=(2, 4))
    before = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(small, places, strict=True)]
    after = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(small, moved_places, strict=True)
    ]
    assert np.median(np.abs(after)) > 0.8
    assert np.median(np.abs(before)) < 0.6, "or it would say nothing"


def test_place_weight_draws_the_heatmap_inside(tmp_path: Path) -> None:
    """Of a class that a marker tells, in a corner as well as in the lungs."""
    random = np.random.default_rng(1)
    labels = np.tile([0, 1], 32).astype(np.uint8)
    images = random.integers(0, 99, (64, TOY.size, TOY.size), np.uint8)
    images[labels == 1, :14, :14] = images[labels == 1, 24:40, 10:26] = 255
    data = Dataset(images, labels, np.arange(64).astype(str))
    start = write_start_weights(tmp_path / "start.keras")
    config = replace(TOY, start_weights=start, frozen_share=0.6, learning_rate=3e-3, head_epochs=0)
    assert outside(data, config, place_weight=3) < 0.8 * outside(data, config, place_weight=0)


def outside(data: Dataset, config: TrainingConfig, *, place_weight: float) -> float:
    """Train, and return the mean share of the heatmaps that lies outside the lungs."""
    from pipeline.inference.gradcam import FEATURE_MAP, HEAD
    from pipeline.training.fit import fit_network
    from pipeline.training.framework import keras
    from pipeline.training.place import share_outside

    config = replace(config, place_weight=place_weight, epochs=4)
    network, _ = fit_network(TrainingJob(config=config, training=data, validation=data))
    maps = keras.Model(network.input, network.get_layer(FEATURE_MAP).output)
    ill = data.images[data.labels == 1]
    places = np.repeat(lung_prior()[None], len(ill), axis=0)
    shares = share_outside(maps(ill), network.get_layer(HEAD).kernel, places).numpy()
    return float(shares.mean())
