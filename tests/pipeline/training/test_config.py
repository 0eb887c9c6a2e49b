"""Configurations of candidates, calibration groups and kept guards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.calibration import (
    LEAST_OF_GROUP,
    balanced_weights,
    even_weights,
    large_groups,
    threshold_for_each,
)
from pipeline.familiarity.guard import LEAST_LEARNING, LEAST_VALIDATION, is_guard_of
from pipeline.inference.version_folder import BASELINE, load_card
from pipeline.training.config import (
    FROZEN_SHARE,
    Mode,
    Start,
    TrainingConfig,
    TrainingConfigError,
    candidate_config,
)

WEIGHTS = Path("network.keras")
SHIPPED = load_card(BASELINE).raw


def config(
    card: Any = SHIPPED, *, start: Start = "production", mode: Mode = "head", site: int = 40
) -> TrainingConfig:
    return candidate_config(
        card, name="night-2", start=start, weights=WEIGHTS, mode=mode, site=site
    )


def test_candidate_config_takes_smaller_steps_from_production() -> None:
    fresh = config(start="imagenet", mode="upper blocks")
    continued = config(mode="upper blocks")
    assert continued.learning_rate < fresh.learning_rate
    assert continued.head_learning_rate < fresh.head_learning_rate
    assert 0 < continued.epochs < fresh.epochs
    assert (continued.model_version, continued.start_weights) == ("night-2", WEIGHTS)
    assert (continued.size, continued.alpha, continued.frozen_share) == (
        224,
        1.0,
        fresh.frozen_share,
    )


@pytest.mark.parametrize("start", ["production", "imagenet"])
def test_candidate_config_keeps_the_precision(start: Start) -> None:
    assert config(start=start).precision == "float32", "a card of an earlier release"
    assert config({"config": {"precision": "int8"}}, start=start).precision == "int8"


def test_candidate_config_freezes_the_layers_of_the_guard() -> None:
    freed = {"config": {"frozen_share": 0.1}}
    assert config(freed, mode="upper blocks").frozen_share == FROZEN_SHARE


@pytest.mark.parametrize("start", ["production", "imagenet"])
def test_candidate_config_of_the_head_alone(start: Start) -> None:
    found = config(start=start)
    assert found.epochs == 0
    assert found.head_epochs > 0


def test_population_mentions_the_site_once() -> None:
    first = config(site=40)
    assert first.population.startswith("The training split of the public set")
    assert first.population.endswith("Since then, 40 labelled images of this site.")
    second = config({"config": first.as_json(), "population": first.population}, site=75)
    assert second.population == first.population.replace("40", "75")


def test_population_of_a_training_from_imagenet() -> None:
    found = config(start="imagenet", site=40)
    assert found.population == "40 labelled images of this site. ImageNet weights to start from."
    assert found.known_limits == ()


def test_candidate_config_of_a_card_without_config() -> None:
    default = {"config": TrainingConfig().as_json()}
    assert config({}, mode="upper blocks") == config(default, mode="upper blocks")
    with pytest.raises(TrainingConfigError, match="of a later release"):
        config({"config": {"of a later release": 1}})


def test_even_weights_balance_groups_and_classes() -> None:
    labels = np.array([0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1], np.uint8)
    site = np.arange(12) < 4
    weights = even_weights(labels, [site, ~site])
    sums = [weights[group & (labels == label)].sum() for group in (site, ~site) for label in (0, 1)]
    np.testing.assert_allclose(sums, 3)
    np.testing.assert_array_equal(even_weights(labels, []), balanced_weights(labels))


def test_threshold_for_each_holds_in_the_hardest_part() -> None:
    random = np.random.default_rng(4)
    labels = np.tile([0, 1], 200).astype(np.uint8)
    site = np.arange(400) < 80
    probabilities = np.clip(random.normal(np.where(site, 0.3, 0.5) + 0.2 * labels, 0.1), 0, 1)
    parts = [np.ones(400, np.bool_), site, ~site]
    found = threshold_for_each(labels, probabilities, parts=parts, sensitivity_floor=0.95)
    for part in parts:
        assert (probabilities[part & (labels == 1)] >= found).mean() >= 0.95
    alone = threshold_for_each(labels, probabilities, parts=parts[:1], sensitivity_floor=0.95)
    assert (probabilities[site & (labels == 1)] >= alone).mean() < 0.95, "or it would say nothing"


def test_large_groups_ignores_small_ones() -> None:
    labels = np.tile([0, 1], 3 * LEAST_OF_GROUP).astype(np.uint8)
    place = np.arange(len(labels))
    half, handful = place < len(labels) // 2, place < LEAST_OF_GROUP
    assert list(large_groups(labels, {"site": half, "public": ~half})) == ["site", "public"]
    assert large_groups(labels, {"site": handful, "public": ~handful}) == {}
    only_pneumonia = {"site": half & (labels == 1), "public": ~half}
    assert large_groups(labels, only_pneumonia) == {}


def test_guard_is_kept_only_with_too_few_images() -> None:
    counts = {"training_images": LEAST_LEARNING, "validation_images": LEAST_VALIDATION}
    fitted = {"snapshot": "a", "guard": "fitted", **counts}
    kept = {"snapshot": "a", "guard": "kept", "from": "baseline-2", **counts}
    assert is_guard_of({"familiarity": fitted}, "a")
    assert not is_guard_of({"familiarity": fitted}, "b")
    assert not is_guard_of({"familiarity": kept}, "a"), "it should have been refreshed"
    assert is_guard_of({"familiarity": kept | {"training_images": LEAST_LEARNING - 1}}, "a")
    assert not is_guard_of(SHIPPED, "a")
