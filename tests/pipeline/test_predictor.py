"""The shipped network's answers on phantoms, noise and what no chest looks like."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.phantom import draw_phantom
from pipeline.predictor import Predictor
from pipeline.prepare import prepare
from tests.pipeline.networks import phantom_inputs


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.open(threads=1)


def test_phantoms_are_read_mostly_as_drawn(predictor: Predictor) -> None:
    answers = predictor.predict(phantom_inputs(count=16))
    right = [a.finding == ("normal", "pneumonia")[n % 2] for n, a in enumerate(answers)]
    assert sum(right) >= 12


def test_an_answer_is_whole(predictor: Predictor) -> None:
    (answer,) = predictor.predict(phantom_inputs(count=1))
    assert 0 <= answer.probability <= 1
    assert answer.threshold == predictor.card.thresholds["balanced"]
    assert answer.model_version == predictor.model_version
    assert 0 <= answer.unfamiliarity <= 0.5
    assert answer.reason is None
    assert answer.heatmap.shape == (7, 7)


def test_noise_gets_no_finding_and_says_why(predictor: Predictor) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 224, 224)).astype(np.uint8)
    for answer in predictor.predict(noise):
        assert answer.finding is None
        assert answer.reason is not None
        assert "unlike" in answer.reason


def test_noise_is_stranger_than_every_phantom(predictor: Predictor) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (4, 224, 224)).astype(np.uint8)
    strange = min(answer.unfamiliarity for answer in predictor.predict(noise))
    usual = max(answer.unfamiliarity for answer in predictor.predict(phantom_inputs(count=8)))
    assert strange > usual


def test_a_negative_is_read_with_its_polarity_corrected(predictor: Predictor) -> None:
    inputs = phantom_inputs(count=8)
    usual, negative = predictor.predict(inputs), predictor.predict(255 - inputs)
    for one, other in zip(usual, negative, strict=True):
        assert one.warnings == ()
        assert "inverted" in other.warnings[0]
        assert other.probability == pytest.approx(one.probability, abs=1e-4)
        assert other.finding == one.finding


def test_the_threshold_itself_is_positive(predictor: Predictor) -> None:
    answers = predictor.predict(phantom_inputs(count=8))
    for answer in answers:
        is_positive = answer.probability >= answer.threshold
        assert answer.finding == ("pneumonia" if is_positive else "normal")


def test_phantoms_are_the_same_for_the_same_seed() -> None:
    first = draw_phantom(seed=3, finding="normal", size=(96, 80))
    assert first.shape == (96, 80)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, draw_phantom(seed=3, finding="normal", size=(96, 80)))
    assert (first != draw_phantom(seed=4, finding="normal", size=(96, 80))).any()


def test_predicting_loads_no_training_library() -> None:
    code = (
        "import sys; from pipeline.predictor import Predictor; import numpy as np;"
        "Predictor.open().predict(np.zeros((1, 224, 224), np.uint8));"
        "print(sorted({'tensorflow', 'keras', 'matplotlib', 'pydicom'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.shared
def test_adults_films_are_told_from_their_negatives(
    predictor: Predictor, shared_data: Path
) -> None:
    """Above 99 % both ways, on films that nothing was fitted to."""
    films = sorted((shared_data / "external").glob("*.jpg"))[::4]
    inputs = np.stack([prepare(film).network_input for film in films])
    assert not any(answer.warnings for answer in predictor.predict(inputs))
    assert all(answer.warnings for answer in predictor.predict(255 - inputs))


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["dog_segmentation_256.bmp", "hand_xray.jpg", "owl.jpg", "noise_512.png"]
)
def test_what_is_no_chest_gets_no_finding(
    predictor: Predictor, shared_data: Path, name: str
) -> None:
    (path,) = (shared_data / "hostile").rglob(name)
    (answer,) = predictor.predict(prepare(path).network_input[None])
    assert answer.finding is None
