"""The guard of two made-up populations, one of which has few images."""

import numpy as np
import pytest

from pipeline.familiarity.distance import LIMIT, WARNING_LIMIT, appearance
from pipeline.familiarity.fit import BEYOND_SHARE, WARNED_SHARE, GuardImages, fit_guard
from pipeline.familiarity.guard import LEAST_LEARNING, LEAST_VALIDATION, Guard
from tests.support.imaging.networks import phantom_inputs

CHILDREN, ADULTS = "children", "adults"


def images_of(random: np.random.Generator, *, children: int, adults: int) -> GuardImages:
    """Features around 0 for children and, with twice the spread, around 3 for adults."""
    features = np.concatenate(
        [random.normal(0, 1, (children, 8)), random.normal(3, 2, (adults, 8))]
    ).astype(np.float32)
    films = phantom_inputs(count=8)[:, ::8, ::8][:, :28, :28]
    noise = random.normal(0, 4, (len(features), 28, 28))
    pixels = np.clip(films[random.integers(8, size=len(features))] + noise, 0, 255)
    names = np.repeat([CHILDREN, ADULTS], [children, adults])
    return GuardImages(pixels.astype(np.uint8), features, names)


def shares_above(guard: Guard, images: GuardImages, limit: float) -> dict[str, float]:
    found = guard.unfamiliarity(appearance(images.images), images.features)
    return {name: float((found[images.populations == name] > limit).mean()) for name in names()}


def names() -> tuple[str, str]:
    return CHILDREN, ADULTS


@pytest.fixture(scope="module")
def unseen() -> GuardImages:
    return images_of(np.random.default_rng(9), children=2000, adults=2000)


def fitted(*, training_adults: int, validation_adults: int) -> Guard:
    random = np.random.default_rng(0)
    return fit_guard(
        images_of(random, children=2000, adults=training_adults),
        images_of(random, children=1000, adults=validation_adults),
    )


def test_limits_hold_in_a_population_of_few_images(unseen: GuardImages) -> None:
    guard = fitted(training_adults=LEAST_LEARNING, validation_adults=100)
    warned, beyond = (shares_above(guard, unseen, limit) for limit in (WARNING_LIMIT, LIMIT))
    assert max(warned.values()) <= WARNED_SHARE + 0.04
    assert max(beyond.values()) <= BEYOND_SHARE


def test_population_that_was_not_learned_is_unfamiliar(unseen: GuardImages) -> None:
    guard = fitted(training_adults=0, validation_adults=0)
    assert shares_above(guard, unseen, WARNING_LIMIT)[ADULTS] > 0.5


def test_too_few_validation_images_do_not_set_the_limit() -> None:
    """They would be outliers: 20 of a population that nothing was learned from."""
    few = fitted(training_adults=0, validation_adults=LEAST_VALIDATION - 1)
    many = fitted(training_adults=0, validation_adults=LEAST_VALIDATION)
    assert few.features.limit < many.features.limit


@pytest.mark.parametrize(
    ("adults", "share"), [(LEAST_LEARNING, 1 / 2), (LEAST_LEARNING - 1, 299 / 899)]
)
def test_populations_weigh_the_same_unless_they_are_small(adults: int, share: float) -> None:
    names = np.repeat([CHILDREN, ADULTS], [600, adults])
    weights = GuardImages(np.empty(0, np.uint8), np.empty(0, np.float32), names).weights()
    assert weights.sum() == pytest.approx(1)
    assert weights[600:].sum() == pytest.approx(share)
