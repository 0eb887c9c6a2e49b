"""Predictions of the shipped network for phantoms, noise and images of other things."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.familiarity.orientation import describe
from pipeline.inference.predictor import Predictor
from pipeline.prepare.prepare import prepare
from pipeline.upright import upright, upright_heatmap
from tests.support.imaging.networks import phantom_inputs

NO_CHEST = (
    "dog_segmentation_256.bmp",
    "hand_xray.jpg",
    "owl.jpg",
    "noise_512.png",
    "hopper_lzw.tif",
    "test-card-lossless.jp2",
    "exif_imagemagick_orientation.png",
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.open()


def test_phantoms_mostly_get_their_finding(predictor: Predictor) -> None:
    answers = predictor.predict(phantom_inputs(count=16))
    right = [a.finding == ("normal", "pneumonia")[n % 2] for n, a in enumerate(answers)]
    assert sum(right) >= 12
    for answer in answers:
        is_positive = answer.probability >= answer.threshold
        assert answer.finding == ("pneumonia" if is_positive else "normal")


def test_prediction_has_all_fields(predictor: Predictor) -> None:
    (answer,) = predictor.predict(phantom_inputs(count=1))
    assert 0 <= answer.probability <= 1
    assert answer.threshold == predictor.card.thresholds["balanced"]
    assert answer.model_version == predictor.card.model_version
    assert 0 <= answer.unfamiliarity <= 0.5
    assert answer.reason is None
    assert answer.heatmap.shape == (7, 7)


@pytest.mark.parametrize("orientation", range(8))
def test_prediction_names_the_orientation_that_was_corrected(
    predictor: Predictor, orientation: int
) -> None:
    """Set upright by it, image and heatmap are those of the upright image."""
    image = phantom_inputs(count=1)
    stored = np.rot90(255 - image if orientation >= 4 else image, orientation % 4, axes=(1, 2))
    (expected,), (answer,) = predictor.predict(image), predictor.predict(stored)
    assert answer.orientation == orientation
    assert answer.unfamiliarity == pytest.approx(expected.unfamiliarity, abs=1e-4)
    np.testing.assert_array_equal(upright(stored[0], orientation), image[0])
    heatmap = upright_heatmap(answer.heatmap, orientation)
    np.testing.assert_allclose(heatmap, expected.heatmap, atol=1e-4)


def test_noise_gets_no_finding_and_a_reason(predictor: Predictor) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 224, 224)).astype(np.uint8)
    for answer in predictor.predict(noise):
        assert answer.finding is None
        assert answer.reason is not None
        assert answer.reason.startswith("out of distribution: unfamiliarity ")


@pytest.mark.parametrize("way", range(1, 8))
def test_rotated_and_inverted_images_are_corrected(predictor: Predictor, way: int) -> None:
    inputs = phantom_inputs(count=8)
    stored = np.rot90(255 - inputs if way >= 4 else inputs, way % 4, axes=(1, 2))
    for one, other in zip(predictor.predict(inputs), predictor.predict(stored), strict=True):
        assert not any("corrected" in warning for warning in one.warnings)
        assert other.warnings[0] == describe(way)
        assert other.probability == pytest.approx(one.probability, abs=1e-4)
        assert other.finding == one.finding
        # The heatmap fits the image as it is stored.
        np.testing.assert_allclose(other.heatmap, np.rot90(one.heatmap, way % 4), atol=1e-4)


def test_results_near_the_limit_carry_a_warning(predictor: Predictor) -> None:
    inputs = phantom_inputs(count=4)
    noise = np.random.default_rng(2).normal(0, 1, inputs.shape)
    seen = set()
    for strength in range(0, 40, 2):  # until there is no finding
        strange = np.clip(inputs + strength * noise, 0, 255).astype(np.uint8)
        for answer in predictor.predict(strange):
            is_near = predictor.card.warning_limit < answer.unfamiliarity <= 0.5
            assert (predictor.card.warning in answer.warnings) == is_near
            seen.add(is_near)
    assert seen == {True, False}


def test_sensitive_operating_point_has_a_lower_threshold(predictor: Predictor) -> None:
    sensitive = Predictor.open(operating_point="sensitive")
    assert sensitive.card.threshold < predictor.card.threshold
    (answer,) = sensitive.predict(phantom_inputs(count=1))
    assert answer.operating_point == "sensitive"
    assert answer.threshold == sensitive.card.threshold
    assert answer.temperature == sensitive.card.temperature


@pytest.mark.shared
def test_orientation_of_adults_images_is_detected(predictor: Predictor, shared_data: Path) -> None:
    """On images it was not fitted to: at most 2 % are corrected needlessly, and at most 2 % of
    those stored otherwise get a finding without a warning.
    """
    inputs = _read(sorted((shared_data / "external").glob("*.jpg"))[::2])
    upright = predictor.predict(inputs)
    assert (
        np.mean([any("corrected before" in w for w in answer.warnings) for answer in upright])
        <= 0.02
    )
    for way in (2, 3, 4):
        stored = np.rot90(255 - inputs if way >= 4 else inputs, way % 4, axes=(1, 2))
        answers = predictor.predict(stored)
        ways = [one.orientation for one in answers if "corrected before" in str(one.warnings)]
        assert ways.count(way) >= 0.9 * len(inputs)
        is_unnoticed = [
            not any("corrected" in warning for warning in answer.warnings)
            and answer.finding is not None
            for answer in answers
        ]
        assert np.mean(is_unnoticed) <= 0.02


@pytest.mark.shared
def test_adults_images_get_findings_mostly_with_a_warning(
    predictor: Predictor, shared_data: Path
) -> None:
    answers = predictor.predict(_read(sorted((shared_data / "external").glob("*.jpg"))))
    assert np.mean([answer.finding is None for answer in answers]) <= 0.1
    assert np.mean([predictor.card.warning in answer.warnings for answer in answers]) >= 0.4


@pytest.mark.shared
def test_images_of_other_things_get_no_finding(predictor: Predictor, shared_data: Path) -> None:
    paths = [path for name in NO_CHEST for path in (shared_data / "hostile").rglob(name)]
    found = {
        name: answer.finding
        for name, answer in zip(NO_CHEST, predictor.predict(_read(paths)), strict=True)
    }
    assert found == dict.fromkeys(NO_CHEST)


def _read(paths: list[Path]) -> np.ndarray:
    return np.stack([prepare(path).network_input for path in paths])
